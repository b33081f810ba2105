//! `crossbridge`: see `crossbridge --help`.

mod cli;
mod command;
mod exit;

use std::io::{IsTerminal, Write};
use std::panic;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, Format, ProfileCommand};
use exit::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.format == Format::Json;
    // A panic is a bug of ours and says so; nothing that is read can cause one.
    let done = panic::catch_unwind(panic::AssertUnwindSafe(|| run(&cli)));
    let done = done.unwrap_or_else(|_| Err(Failure::Internal("an internal error, see above".to_owned())));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message(json) {
                // Nothing is left to be done about a closed stderr.
                let _ = writeln!(anstream::stderr(), "{message}");
            }
            failure.code()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let json = cli.format == Format::Json;
    let config = cli.config.as_deref();
    match &cli.command {
        Command::Replay(args) => command::replay::run(args, config, json, &mut output()),
        Command::Explore(args) => command::explore::run(args, config, json, &mut output()),
        Command::Compare(args) => command::compare::run(args, config, json, &mut output()),
        Command::Check(args) => {
            let file = args.file.as_deref().or(config);
            let page = command::check::run(file, args.rate, json).map_err(command::invalid)?;
            command::print(&mut output(), &page)
        }
        Command::Record(args) => command::record::run(args, config, json, &mut output()),
        Command::Tune(args) => command::tune::run(args, config, json, &mut output()),
        Command::Faults(args) => command::faults::run(args, config, json, &mut output()),
        Command::Schema(args) => command::schema::run(args, &mut output()),
        Command::Serve(args) => command::profile::serve::run(args, config, &mut output()),
        Command::Profile(ProfileCommand::Ingest(args)) => {
            command::profile::ingest(args, config, json, &mut output())
        }
        Command::Profile(ProfileCommand::Status(args)) => {
            command::profile::status::run(args, config, json, &mut output())
        }
        Command::Profile(ProfileCommand::Drain(args)) => {
            command::profile::drain::run(args, config, json, &mut output())
        }
        Command::Profile(ProfileCommand::DeadLetters(command)) => {
            command::profile::dead_letters::run(command, config, json, &mut output())
        }
        Command::Profile(ProfileCommand::Query(args)) => command::profile::query::run(args, &mut output()),
    }
}

/// Standard output: colours only where somebody looks.
fn output() -> anstream::AutoStream<std::io::Stdout> {
    let stdout = std::io::stdout();
    let choice = if stdout.is_terminal() {
        anstream::ColorChoice::Auto
    } else {
        anstream::ColorChoice::Never
    };
    anstream::AutoStream::new(stdout, choice)
}
