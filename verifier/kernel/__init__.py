"""The trusted kernel: exact numbers, networks, queries, certificates and their checker."""
