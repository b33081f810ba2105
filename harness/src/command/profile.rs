//! `crossbridge profile ingest`: test reports into a store, each event once.
//!
//! Every touch of the store, its opening included, is a call of the path `profiling_storage`. What
//! was written stays written whatever happens next, Ctrl-C included, and the same command again
//! adds what is missing.

mod failure;
mod json;
mod outcome;
mod progress;
mod target;
mod text;

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::event::LogObserver;
use crossbridge_core::{CallError, Guard};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::config::Config;
use crossbridge_std::logging::{self, LogError, LogGuard};
use crossbridge_std::profiling::ingest::Cause;
use crossbridge_std::profiling::{
    Counts, EventStore, Ingest, IngestError, Notice, Options, Source, StoreError, source,
};
use crossbridge_std::sleeper::ThreadSleeper;

use self::outcome::{End, FileOutcome, Outcome, RefusedEvent, Unusable};
use self::progress::{Progress, Watched};
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
    let log = LogObserver {
        target: path.log_category.target(),
        path: PATH,
    };
    let guard = Guard::with_observer(path.guard, (log, &progress))
        .map_err(|refused| Failure::Internal(refused.to_string()))?;
    let mut session = Session {
        args,
        target: &target,
        store: None,
        guard,
        progress: &progress,
        clock: progress.clock(),
        rng: crossbridge_std::entropy::generator(),
        opening: Counts::default(),
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
    let outcome = Outcome {
        opening: session.opening,
        store: target,
        files,
        unusable,
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
struct Session<'s> {
    args: &'s IngestArgs,
    target: &'s Target,
    /// Opened when the first file has something for it.
    store: Option<Box<dyn EventStore + Send>>,
    guard: Guard<(LogObserver<'s>, &'s Progress)>,
    progress: &'s Progress,
    clock: SystemClock,
    rng: SplitMix64,
    /// Attempts to open the store.
    opening: Counts,
}

impl Session<'_> {
    /// Stores one file; an error is the end of the store.
    fn file(&mut self, path: &Path, file: &mut FileOutcome) -> Result<(), Unusable> {
        let input = match File::open(path) {
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
        if self.store.is_none() {
            match self.open() {
                Ok(store) => self.store = Some(store),
                Err(unusable) => {
                    file.end = End::Unfinished { uncertain: false };
                    return Err(unusable);
                }
            }
        }
        let done = self.run(&mut source, file);
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
        match *error.cause {
            Cause::Source(error) => {
                file.end = End::Broken(error);
                Ok(())
            }
            Cause::Store(error) => {
                file.end = End::Unfinished { uncertain };
                Err(Unusable::Store(error))
            }
        }
    }

    fn run(
        &mut self,
        source: &mut Source<Watched<'_, BufReader<File>>>,
        file: &mut FileOutcome,
    ) -> Result<Counts, IngestError> {
        let Some(store) = &mut self.store else {
            return Ok(Counts::default());
        };
        let mut ingest = Ingest::new(store, &mut self.guard);
        let progress = self.progress;
        ingest.run(source, &self.clock, &mut ThreadSleeper, &mut self.rng, |notice| {
            let line = match notice {
                Notice::Rejected(rejected) => {
                    (file.rejected.push(|| rejected.clone())).then(|| format!("{}:{rejected}", file.name))
                }
                Notice::Warning(warning) => (file.warnings.push(|| warning.clone()))
                    .then(|| format!("{}:{}: warning: {}", file.name, warning.at, warning.text)),
                Notice::Refused(event, reason) => {
                    let refused = RefusedEvent::new(event, reason);
                    let line = format!("{}: {refused}", file.name);
                    file.refused.push(|| refused).then_some(line)
                }
                Notice::Stored(_) => None,
            };
            if let Some(line) = line {
                progress.line(&line);
            }
        })
    }

    /// Opens the store, and makes the folder of the default one.
    fn open(&mut self) -> Result<Box<dyn EventStore + Send>, Unusable> {
        if let Some(folder) = self.target.folder() {
            std::fs::create_dir_all(folder).map_err(|error| Unusable::Folder(folder.to_owned(), error))?;
        }
        let opening = &mut self.opening;
        let url = self.target.url();
        let opened: Result<_, CallError<StoreError>> =
            self.guard
                .call(&self.clock, &mut ThreadSleeper, &mut self.rng, |attempt| {
                    opening.attempts += 1;
                    opening.retries += u64::from(attempt.number() > 1);
                    url.open(attempt.timeout())
                });
        opened.map_err(Unusable::Store)
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
