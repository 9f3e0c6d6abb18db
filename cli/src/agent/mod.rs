//! What a browser is shown of a node.

pub mod page;
