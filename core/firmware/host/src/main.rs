//! The host's side of the firmware check.

mod covered;
mod frames;
mod record;
mod sizes;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use crossbridge_firmware::lines;

const USAGE: &str = "usage: crossbridge-firmware-host COMMAND
  record              print the trace
  replay              print every event and answer of the trace
  covered             say what the replay meets; fails when that is too little
  frames ELF FRAMES   decode the image's defmt frames and compare them with the host's events
  sizes FOLDER        print the table of sizes of the images in a folder
  symbols ELF         print the functions of an image, largest first";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
    match words {
        ["record"] => Ok(record::trace()?),
        ["replay"] => replay(),
        ["covered"] => {
            let (table, enough) = covered::table(&replay()?);
            if enough {
                Ok(table)
            } else {
                Err(format!("the trace meets too little:\n{table}").into())
            }
        }
        ["frames", elf, frames] => Ok(frames::compare(&fs::read(elf)?, &fs::read(frames)?)? + "\n"),
        ["sizes", folder] => sizes::table(Path::new(folder)),
        ["symbols", elf] => sizes::symbols(Path::new(elf)),
        _ => Err(USAGE.into()),
    }
}

fn replay() -> Result<String, Box<dyn std::error::Error>> {
    let mut text = String::new();
    // What went wrong is the last line, if it is not the driver's.
    lines::replay(&mut text).map_err(|_| text.lines().last().unwrap_or("no line").to_owned())?;
    Ok(text)
}
