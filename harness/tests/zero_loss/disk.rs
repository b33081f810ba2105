//! A server whose disk is full: a real one where we may mount, otherwise by its word.

use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crossbridge_std::servers::Signal;

use crate::delivery::{Delivery, quick};

/// Eight batches, twice as much as fits.
const EVENTS: u32 = 16_000;

/// The table is on a file system of two megabytes, which is then made larger.
#[test]
fn a_server_whose_disk_is_full() {
    let mut delivery = Delivery::with(quick());
    let events = delivery.next(EVENTS);
    let Some(disk) = SmallDisk::mount(delivery.place.path("disk")) else {
        // Whoever may not mount gets the server's own answer from a trigger.
        return full_by_trigger(&delivery, events);
    };
    let at = disk.path.display();
    delivery
        .server
        .sql(&format!("create tablespace small location '{at}'"))
        .unwrap();
    delivery
        .server
        .sql("alter table profiling.events set tablespace small")
        .unwrap();
    let ran = delivery.write(events, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("the disk is full"), "{}", ran.stderr);
    let spooled = delivery.spooled();
    assert!((1..EVENTS).contains(&spooled), "{spooled}");
    disk.enlarge();
    delivery.drain();
    delivery.exactly_once("disk full");
    delivery.server.sql("drop schema profiling cascade").unwrap();
    delivery.server.sql("drop tablespace small").unwrap();
}

fn full_by_trigger(delivery: &Delivery, events: Range<u32>) {
    let full = "create function full_disk() returns trigger language plpgsql as $$ begin \
                raise 'could not extend file' using errcode = '53100'; end $$; \
                create trigger full_disk before insert on profiling.events for each row \
                when (new.metadata @> '{\"n\": 3456}') execute function full_disk()";
    delivery.server.sql(full).unwrap();
    let ran = delivery.write(events, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("the disk is full"), "{}", ran.stderr);
    delivery
        .server
        .sql("drop trigger full_disk on profiling.events")
        .unwrap();
    delivery.drain();
    delivery.exactly_once("disk full, by a trigger");
}

/// The spool's disk is full, of events and of what others put there: they can leave all the same.
#[test]
fn a_spool_whose_disk_is_full_is_shipped() {
    let mut delivery = Delivery::with(quick());
    let Some(disk) = SmallDisk::mount(delivery.place.path("disk")) else {
        // Nothing that may be done without a mount looks like it. Past the capture of the test's output.
        writeln!(
            std::io::stderr(),
            "NOT RUN: a full disk under the spool: it takes root, or sudo, to mount one"
        )
        .unwrap();
        return;
    };
    delivery.server.kill(Signal::KILL).unwrap();
    let events = delivery.file(0..EVENTS);
    let ran = delivery.run_in("disk", &["ingest", &events]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains(".db: the disk is full"), "{}", ran.stderr);
    let mut others = std::fs::File::create(disk.path.join("others")).unwrap();
    std::io::copy(&mut std::io::repeat(7), &mut others).unwrap_err();
    delivery.server.restart().unwrap();
    let ran = delivery.run_in("disk", &["drain"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let stored = delivery
        .server
        .sql("select count(*) from profiling.events")
        .unwrap();
    let status = delivery.run_in("disk", &["status", "--format", "json"]).stdout;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        (&status["spooled"], &status["lost"]),
        (&0.into(), &0.into()),
        "{status}"
    );
    assert_eq!(status["spool"]["shipped"].to_string(), stored, "{status}");
    assert_ne!(stored, "0");
}

/// A small file system in memory.
struct SmallDisk {
    path: PathBuf,
    /// What makes us root, if anything has to.
    sudo: &'static [&'static str],
}

impl SmallDisk {
    /// `None` where we may not.
    fn mount(path: PathBuf) -> Option<Self> {
        std::fs::create_dir(&path).unwrap();
        // The server walks through here to its own directory.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path.parent()?, open).unwrap();
        let options = "size=2m,mode=0777";
        let sudo: &[&[&str]] = &[&[], &["sudo", "-n"]];
        let sudo = sudo
            .iter()
            .find(|sudo| run(sudo, &["mount", "-t", "tmpfs", "-o", options, "tmpfs"], &path))?;
        // A tablespace belongs to the server's user: root runs it as another one.
        let user = if sudo.is_empty() {
            "postgres".to_owned()
        } else {
            own_name()
        };
        run(sudo, &["chown", &user], &path);
        Some(Self { path, sudo })
    }

    fn enlarge(&self) {
        assert!(run(self.sudo, &["mount", "-o", "remount,size=64m"], &self.path));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may have files open there.
        run(self.sudo, &["umount", "--lazy"], &self.path);
    }
}

fn own_name() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn run(sudo: &[&str], command: &[&str], path: &Path) -> bool {
    let words = [sudo, command].concat();
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    Command::new(program)
        .args(arguments)
        .arg(path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
