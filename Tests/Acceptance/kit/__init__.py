"""What the acceptance programs share: a stand-in model, the worker as a process, a plain client, and the raw rows of its store."""
