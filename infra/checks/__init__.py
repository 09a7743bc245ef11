"""What `wundr doctor` examines beside the machine: each check says what is wrong and what to do."""
