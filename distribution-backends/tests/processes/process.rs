//! A child process, and what it has said so far.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::child::{BODY, TASK, Task};

/// Killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(task: &Task) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", BODY, "--ignored", "--nocapture"])
            .env(TASK, serde_json::to_string(task).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (said, heard) = (child.stdout.take().unwrap(), Arc::clone(&lines));
        let reader = thread::spawn(move || {
            let (mut said, mut line) = (BufReader::new(said), Vec::new());
            // A line without an end was not said.
            while said.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
                heard.lock().unwrap().push(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
        });
        Self { child, lines, reader: Some(reader) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it through its gate.
    pub(crate) fn go(&mut self) {
        // It may have died.
        let _ = self.child.stdin.as_mut().unwrap().write_all(b"go\n");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // Not waited for yet, so the id is still its own.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn has_said(&self, word: &str) -> bool {
        self.lines.lock().unwrap().iter().any(|line| line.starts_with(word))
    }

    /// Waits until it has said a line that begins so; `false` if it ends before.
    pub(crate) fn wait_for(&mut self, word: &str, limit: Duration) -> bool {
        let started = Instant::now();
        while !self.has_said(word) {
            if self.has_ended() {
                return self.has_said(word);
            }
            assert!(started.elapsed() < limit, "a process hangs: {:?}", self.lines());
            thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Whether it has ended; if so, all that it said is heard.
    pub(crate) fn has_ended(&mut self) -> bool {
        let ended = self.child.try_wait().unwrap().is_some();
        if ended && let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        ended
    }

    /// Waits for its end; then it has said this.
    pub(crate) fn end(mut self, limit: Duration) -> Vec<String> {
        let started = Instant::now();
        while !self.has_ended() {
            assert!(started.elapsed() < limit, "a process hangs: {:?}", self.lines());
            thread::sleep(Duration::from_millis(1));
        }
        self.lines()
    }

    /// Kills it; it has said this.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.end(Duration::from_secs(10))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
