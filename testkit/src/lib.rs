//! What tests and fuzz targets of several packages share.

pub mod command;
pub mod twisted;
