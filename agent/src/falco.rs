//! The Falco room: reads its configuration, validates with it, reloads it and asks what it loaded.
