//! A disk in memory that loses power: what a run of the real falconer did to files, seen by strace, and everything that
//! a crash may leave of it.
//!
//! # What is taken from the run
//! Every call that creates, writes, cuts, renames, links or removes a file or a directory below the host's `state` and
//! `etc`, and every fsync, in the order in which the kernel took them. Each is applied to a copy of what was on the disk
//! before; after the last one the copy must be what is really there, to the last byte, or the test fails: nothing that
//! changes the disk was missed. Calls that the model does not know are errors too.
//!
//! # What a crash may leave
//! The rules are those that POSIX gives, which promise less than any file system in use keeps:
//! - The content of a file is what it was at its last fsync, or anything between that and now: no write, all of them,
//!   the first of several, half of the bytes, bytes of zero in the place of all or of half (a length that is on the
//!   disk before its blocks are).
//! - The names in a directory are those of its last fsync, changed by any subset of what was done since, in any
//!   order: each creation, removal and rename stays or is lost for itself. An fsync of a file does not keep its name.
//! - A rename within a directory is one act: the new name and the loss of the old one come together, as journals and
//!   copy-on-write trees do it. Between two directories it is two acts, which may come apart.
//! - An fsync that failed keeps nothing, and later ones of the same file keep nothing either: Linux marks pages clean that
//!   it could not write.
//!
//! The sources are fsync(2) and rename(2), what Pillai and others found six file systems to do ("All File Systems Are Not
//! Created Equal", OSDI 2014), and what PostgreSQL's developers found out about failed fsyncs in 2018.
//!
//! Where the choices at a moment make no more than [`states::EXHAUSTIVE`] states, all of them are looked at; else each
//! choice alone against all others kept and all others lost, everything up to each act, and a fixed random sample.

pub mod content;
pub mod disk;
pub mod promises;
pub mod recording;
pub mod replay;
pub mod states;
pub mod story;
pub mod view;
