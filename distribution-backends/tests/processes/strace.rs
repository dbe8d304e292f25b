//! `strace`, attached to a process that waits at its gate, so that only what it does behind it is
//! counted and tampered with.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What touches files. What only the runtime needs (memory, threads, futexes) is of no interest.
pub(crate) const CALLS: &str = "openat,read,pread64,write,pwrite64,copy_file_range,sendfile,fsync,fdatasync,fallocate,\
     ftruncate,link,linkat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,fcntl,flock,ioctl,fadvise64,\
     newfstatat,fstat,statx,lseek,close,getdents64,access,faccessat2,readlink,fchmod,fchown,utimensat";

pub(crate) struct Strace {
    child: Child,
    log: PathBuf,
}

/// What is traced: a whole process with all its threads, or one thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Traced {
    Process(u32),
    Thread(u32),
}

impl Strace {
    /// Attaches; `Err` says why not.
    pub(crate) fn attach(traced: Traced, expression: &str, log: &Path) -> Result<Self, String> {
        let mut command = Command::new("strace");
        let id = match traced {
            Traced::Process(id) => {
                command.arg("-f");
                id
            }
            Traced::Thread(id) => id,
        };
        command.args(["-y", "-e", expression, "-p", &id.to_string(), "-o"]).arg(log);
        let mut child =
            command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let mut first = String::new();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        said.read_line(&mut first).map_err(|error| error.to_string())?;
        // So that it never waits for a reader.
        thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        if !first.contains("attached") {
            let _ = child.kill();
            let _ = child.wait();
            return Err(first);
        }
        Ok(Self { child, log: log.to_owned() })
    }

    /// What it has logged, once the process has ended.
    pub(crate) fn log(mut self) -> String {
        let started = Instant::now();
        while self.child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(1));
        }
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What marks calls that are not on a file, and the unlocking of one, which never fails: SQLite, told
/// so, goes on and waits for itself.
const POINTLESS: [&str; 5] = ["<anon_inode:", "<pipe:", "<socket:", "<UNIX", "F_UNLCK"];

/// The calls in a log: by thread and name, in order, whether each is worth tampering with.
pub(crate) fn calls(log: &str) -> BTreeMap<(u32, String), Vec<bool>> {
    let mut calls: BTreeMap<(u32, String), Vec<bool>> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let (Ok(thread), Some((name, arguments))) = (thread.parse(), call.trim_start().split_once('(')) else {
            continue;
        };
        if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let has = |text: &&str| arguments.contains(*text);
            calls.entry((thread, name.to_owned())).or_default().push(!POINTLESS.iter().any(has));
        }
    }
    calls
}

/// Whether the log tells of a call that was tampered with and is not worth it.
pub(crate) fn is_astray(log: &str) -> bool {
    log.lines().any(|line| line.contains("(INJECTED)") && POINTLESS.iter().any(|mark| line.contains(mark)))
}

/// The threads of a process by the same names in every run: what each calls itself, and a number
/// among those that do.
pub(crate) fn threads(process: u32) -> BTreeMap<String, u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut ids: Vec<u32> = tasks.map(|task| task.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    ids.sort_unstable();
    let (mut counts, mut threads) = (BTreeMap::<String, usize>::new(), BTreeMap::new());
    for id in ids {
        let name = fs::read_to_string(format!("/proc/{process}/task/{id}/comm")).unwrap_or_default();
        let count = counts.entry(name.trim().to_owned()).or_default();
        threads.insert(format!("{} {count}", name.trim()), id);
        *count += 1;
    }
    threads
}
