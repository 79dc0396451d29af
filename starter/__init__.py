"""How events get in and people look at them. Its modules are shared by API, console and CLI."""
