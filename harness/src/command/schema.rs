//! `crossbridge schema`.

use std::io::Write;

use crossbridge_harness::scenario::format::ScenarioFile;
use crossbridge_harness::scenario::grid::with_axes;
use crossbridge_std::config::schema;

use super::print;
use crate::cli::{SchemaArgs, SchemaOf};
use crate::exit::Failure;

/// Prints a JSON Schema; it is JSON whatever `--format` says.
pub(crate) fn run(args: &SchemaArgs, output: &mut dyn Write) -> Result<(), Failure> {
    let schema = match args.of {
        SchemaOf::Config => schema::config(),
        SchemaOf::Scenario => {
            let mut schema = schema::document::<ScenarioFile>("A Crossbridge scenario");
            with_axes(&mut schema);
            schema
        }
    };
    print(output, &format!("{:#}\n", schema.as_value()))
}
