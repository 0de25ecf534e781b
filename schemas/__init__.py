"""The ground: frozen models of everything that crosses a process or lands in storage."""
