"""The reference application: analyses a folder of Python source files, one analysis per package."""
