"""Search as a service: one process that holds Java and the encoders and answers over a Unix socket."""
