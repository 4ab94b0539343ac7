"""Local pages (extra `web`): `guard` and `server` serve any page on this machine only; the rest is `jaxderm serve`."""
