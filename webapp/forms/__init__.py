"""Forms: what a person may send, checked before a service sees it."""
