//! `mcpgate schema`.

use super::options;
use crate::error::Error;

/// The published schema of the results file.
const RESULTS_SCHEMA: &str = include_str!("../results.schema.json");

pub(super) fn run() -> Result<u8, Error> {
    options::print(RESULTS_SCHEMA)?;
    Ok(crate::error::exit_code::OK)
}
