//! Falco rules files, checked as far as that goes without Falco.
