"""Where the entries of tables are kept on this machine."""
