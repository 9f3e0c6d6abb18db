//! What tests and fuzz targets of several packages share.

pub mod twisted;
