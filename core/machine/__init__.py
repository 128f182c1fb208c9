"""The machine beneath: free memory and what limits it, and work in limited processes."""
