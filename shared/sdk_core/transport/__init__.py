"""Connections with an API: everything that touches a socket, and what of aiohttp must not leave."""
