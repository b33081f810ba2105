//! `crossbridge profile ingest`: test reports into a store, each event once.
//!
//! Every touch of the store, its opening included, is a call of the path `profiling_storage`. What
//! was written stays written whatever happens next, Ctrl-C included, and the same command again
//! adds what is missing. What the store cannot take goes to its spool; `profile drain` ships it.

pub(crate) mod dead_letters;
pub(crate) mod drain;
mod failure;
mod json;
mod outcome;
mod progress;
pub(crate) mod query;
pub(crate) mod serve;
mod shipping;
pub(crate) mod status;
mod target;
mod text;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::AsFd;
use std::path::Path;

use crossbridge_core::Guard;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::event::LogObserver;
use crossbridge_std::clock::SystemClock;
use crossbridge_std::config::{CallPath, Config};
use crossbridge_std::logging::{self, LogError, LogGuard};
use crossbridge_std::profiling::ingest::Cause;
use crossbridge_std::profiling::{EventStore, Ingest, LazyStore, Options, SpoolPlace, source};
use crossbridge_std::sleeper::ThreadSleeper;

use self::outcome::{End, FileOutcome, Outcome, Unusable};
use self::progress::{Progress, Watched};
use self::shipping::Shipping;
use self::target::Target;
use super::{environment, invalid, print};
use crate::cli::IngestArgs;
use crate::exit::Failure;

/// Reads every file and stores what is in them; a file that cannot be read does not keep the others
/// out, a store that cannot be used ends it all.
pub(crate) fn ingest(
    args: &IngestArgs,
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    if args.run_id.as_deref() == Some("") {
        return Err(Failure::usage(
            "`--run-id` is empty",
            "name the run, or leave the option out",
        ));
    }
    let target = Target::parse(args.store.as_deref(), &environment)?;
    let config = Config::load(config).map_err(invalid)?;
    let _logging = start_logging(&config)?;
    let path = config
        .path(PATH)
        .map_err(|unknown| Failure::Internal(unknown.to_string()))?;
    let progress = Progress::new(&args.files, json);
    let mut guard = guard(path, &progress)?;
    let mut store = LazyStore::new(|timeout| target.open(timeout));
    let mut spool = target.spool(*config.profiling().spool());
    let mut session = Session {
        args,
        ingest: Ingest::new(&mut store, &mut guard).keeping_in(&mut spool),
        progress: &progress,
        clock: progress.clock(),
        rng: crossbridge_std::entropy::generator(),
    };
    let mut files = Vec::new();
    let mut unusable = None;
    for path in &args.files {
        let mut file = FileOutcome::new(path);
        if unusable.is_none() {
            unusable = session.file(path, &mut file).err();
            for line in file.left_out() {
                progress.line(&line);
            }
        }
        files.push(file);
    }
    let trouble = session.ingest.into_trouble();
    let shipping = Shipping::after_ingest(&mut spool, &mut store, &mut guard, progress.clock(), trouble);
    let outcome = Outcome {
        store: target.clone(),
        files,
        unusable,
        shipping,
    };
    progress.finish();
    let page = if json {
        json::object(&outcome)
    } else {
        text::page(&outcome)
    };
    print(output, &page)?;
    failure::of(&outcome)
}

/// One command under way.
struct Session<'i, 's, S> {
    args: &'s IngestArgs,
    ingest: Ingest<'i, S, (LogObserver<'s>, &'s Progress)>,
    progress: &'s Progress,
    clock: SystemClock,
    rng: SplitMix64,
}

impl<S: EventStore> Session<'_, '_, S> {
    /// Stores one file; an error is the end of store and spool.
    fn file(&mut self, path: &Path, file: &mut FileOutcome) -> Result<(), Box<Unusable>> {
        let input = match open(path) {
            Ok(input) => input,
            Err(error) => {
                file.end = End::NoFile(error);
                return Ok(());
            }
        };
        // A report that does not say when it was made was made when its file was written.
        let written = input.metadata().and_then(|metadata| metadata.modified()).ok();
        let options = Options {
            name: file.name.clone(),
            kind: self.args.kind.source(),
            run_id: self.args.run_id.clone(),
            framework: None,
            created_at: written.and_then(|at| at.try_into().ok()),
        };
        let input = Watched::new(BufReader::with_capacity(READ_AHEAD, input), self.progress);
        let mut source = match source::open(input, options) {
            Ok(source) => source,
            Err(error) => {
                file.end = End::Broken(error);
                return Ok(());
            }
        };
        let progress = self.progress;
        let done = self.ingest.run(
            &mut source,
            &self.clock,
            &mut ThreadSleeper,
            &mut self.rng,
            |notice| {
                if let Some(line) = file.line(&notice) {
                    progress.line(&line);
                }
            },
        );
        let summary = source.summary();
        // Of what breaks off at once there is nothing to say, not even what kind it is.
        if done.is_ok() || summary.events + summary.rejected > 0 {
            file.summary = Some(summary.clone());
        }
        let error = match done {
            Ok(counts) => {
                file.counts = counts;
                file.end = End::Whole;
                return Ok(());
            }
            Err(error) => error,
        };
        let uncertain = error.uncertain();
        file.counts = error.counts;
        let unusable = match *error.cause {
            Cause::Source(error) => {
                file.end = End::Broken(error);
                return Ok(());
            }
            Cause::Store(store) => Unusable {
                store: Some(store),
                spool: None,
            },
            Cause::Spool { error, store } => Unusable {
                store,
                spool: Some(error),
            },
        };
        file.end = End::Unfinished { uncertain };
        Err(Box::new(unusable))
    }
}

/// The file, or standard input for `-`.
fn open(path: &Path) -> io::Result<File> {
    if path == Path::new("-") {
        Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
    } else {
        File::open(path)
    }
}

/// The guard of the path, which writes to the log and to the terminal.
fn guard<'g>(
    path: &CallPath,
    progress: &'g Progress,
) -> Result<Guard<(LogObserver<'g>, &'g Progress)>, Failure> {
    let log = LogObserver {
        target: path.log_category.target(),
        path: PATH,
    };
    Guard::with_observer(path.guard, (log, progress))
        .map_err(|refused| Failure::Internal(refused.to_string()))
}

/// What `drain`, `status` and `dead-letters` begin with.
struct Place {
    target: Target,
    spool: SpoolPlace,
    config: Config,
    _logging: Option<LogGuard>,
}

impl Place {
    fn of(store: Option<&str>, config: Option<&Path>) -> Result<Self, Failure> {
        let target = Target::parse(store, &environment)?;
        let config = Config::load(config).map_err(invalid)?;
        let logging = start_logging(&config)?;
        Ok(Self {
            spool: target.spool(*config.profiling().spool()),
            target,
            config,
            _logging: logging,
        })
    }

    fn path(&self) -> Result<&CallPath, Failure> {
        self.config
            .path(PATH)
            .map_err(|unknown| Failure::Internal(unknown.to_string()))
    }
}

fn start_logging(config: &Config) -> Result<Option<LogGuard>, Failure> {
    match logging::install(config.logging()) {
        Ok(guard) => Ok(Some(guard)),
        // Somebody who called us logs already.
        Err(LogError::AlreadyInstalled) => Ok(None),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            let text = format!("{error}{}", cause.unwrap_or_default());
            Err(Failure::dependency(
                text,
                "nothing was read; see `crossbridge.logging` in the configuration",
            ))
        }
    }
}

/// The call path of every write.
const PATH: &str = "profiling_storage";

/// Bytes read at a time.
const READ_AHEAD: usize = 1 << 16;
