//! The reader of uploaded files, as a library, so that tools can test it without the function around it.

pub mod file;
