"""The door for everything that publishes or subscribes."""
