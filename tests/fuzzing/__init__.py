"""Valid files of every kind, ways to damage them, and a process to read them in."""
