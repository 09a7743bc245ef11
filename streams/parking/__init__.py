"""Events that could not be handled: they wait for another try, or are parked, in their order."""
