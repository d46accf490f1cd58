"""Work that survives its process: leases, the queue, and the child that runs a stage (DESIGN section 5)."""
