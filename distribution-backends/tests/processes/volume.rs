//! A file system in a file, whose power can be cut.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use distribution_testkit::Budget;
use tempfile::TempDir;

/// Mounted until it is dropped.
pub(crate) struct Volume {
    dir: TempDir,
    mounted: bool,
}

impl Volume {
    /// A new file system of this kind; `Err` says why there is none.
    pub(crate) fn new(kind: &str) -> Result<Self, String> {
        if Budget::chosen() == Budget::Quick {
            // Nobody expects of plain `cargo test` that it mounts something.
            return Err("it mounts file systems, so only with PROOF=ci or PROOF=long".to_owned());
        }
        run("xfs_io", &["-V"])?;
        let dir = tempfile::tempdir().unwrap();
        let mut volume = Self { dir, mounted: false };
        std::fs::create_dir(volume.path()).unwrap();
        let image = volume.image();
        std::fs::File::create(&image).and_then(|file| file.set_len(512 << 20)).unwrap();
        run(&format!("mkfs.{kind}"), &["-q", &image])?;
        volume.mount()?;
        // Here, not in the middle of a proof: whether its power can be cut.
        volume.cut()?;
        volume.restart()?;
        Ok(volume)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("mount")
    }

    /// Cuts the power: what is not on the disk by now never gets there.
    pub(crate) fn cut(&self) -> Result<(), String> {
        run("xfs_io", &["-x", "-c", "shutdown", &text(&self.path())])
    }

    /// Starts again after a cut. Whoever used it must have died.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        self.unmount()?;
        self.mount()
    }

    fn mount(&mut self) -> Result<(), String> {
        run("mount", &["-o", "loop", &self.image(), &text(&self.path())])?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<(), String> {
        const ATTEMPTS: usize = 100;
        for attempt in 1.. {
            match run("umount", &[&text(&self.path())]) {
                Ok(()) => break,
                Err(why) if attempt == ATTEMPTS => return Err(why),
                // The last of those who used it may still be on their way out.
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
        self.mounted = false;
        Ok(())
    }

    fn image(&self) -> String {
        text(&self.dir.path().join("image"))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.mounted && self.unmount().is_err() {
            let _ = run("umount", &["--lazy", &text(&self.path())]);
        }
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
