//! The files a replay writes beside its page.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::cli::ReplayArgs;
use crate::exit::Failure;

/// A file that is to be written once everything has run. It is created at once, so that a path that
/// cannot be written is known before the work and not after it.
pub(in crate::command) struct Report {
    path: PathBuf,
    file: File,
}

/// The reports that were asked for.
pub(super) struct Reports {
    pub(super) html: Option<Report>,
    pub(super) svg: Option<Report>,
    pub(super) png: Option<Report>,
    pub(super) junit: Option<Report>,
}

impl Reports {
    /// Creates them.
    ///
    /// # Errors
    /// One cannot be written, or one picture is asked for several scenarios.
    pub(super) fn create(args: &ReplayArgs) -> Result<Self, Failure> {
        for (flag, file) in [("--svg", &args.svg), ("--png", &args.png)] {
            if file.is_some() && args.scenarios.len() > 1 {
                return Err(Failure::usage(
                    format!("{flag} draws one scenario, {} are given", args.scenarios.len()),
                    "replay them one by one, or take --html, which has them all",
                ));
            }
        }
        let report = |path: &Option<PathBuf>| path.as_deref().map(Report::create).transpose();
        Ok(Self {
            html: report(&args.html)?,
            svg: report(&args.svg)?,
            png: report(&args.png)?,
            junit: report(&args.junit)?,
        })
    }
}

impl Reports {
    /// Whether any was asked for.
    pub(super) const fn wanted(&self) -> bool {
        self.html.is_some() || self.svg.is_some() || self.png.is_some() || self.junit.is_some()
    }
}

impl Report {
    pub(in crate::command) fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| unwritable("report", path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    pub(in crate::command) fn write(mut self, content: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(content);
        written.map_err(|error| {
            let text = format!("cannot write the report {}: {error}", self.path.display());
            Failure::dependency(
                text,
                "the replay is done and its page is printed; the file is not complete",
            )
        })
    }
}

/// The file the trace goes to while the run goes on.
pub(super) fn trace(path: &Path) -> Result<BufWriter<File>, Failure> {
    let file = File::create(path).map_err(|error| unwritable("trace", path, &error))?;
    Ok(BufWriter::new(file))
}

fn unwritable(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    let text = format!("cannot write the {what} {}: {error}", path.display());
    Failure::dependency(text, "nothing was run")
}
