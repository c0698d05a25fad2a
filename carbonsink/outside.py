"""HTTP to those outside: gateways, banks, WeChat."""

import functools
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx


@functools.cache
def client() -> httpx.Client:
    """One for the process, since making one loads all certificates, which costs more than a request. It keeps no
    connection open: one that the other side closes at that moment would leave us in doubt about a request that never
    got there. It keeps no cookie, and heeds no proxy of the environment. Callers give `timeout` with each request."""
    nobody = DefaultCookiePolicy(allowed_domains=[])
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(trust_env=False, limits=limits, cookies=CookieJar(nobody))
