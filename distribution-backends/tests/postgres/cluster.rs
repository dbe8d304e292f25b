//! A server of a test's own, to be killed.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Of the user `test`.
pub(crate) const PASSWORD: &str = "pass /:@?#%word";

const VARIABLE: &str = "DISTRIBUTION_TEST_POSTGRES_BIN";

/// It is stopped, and its data removed, when this is dropped.
pub(crate) struct Cluster {
    programs: PathBuf,
    directory: TempDir,
    /// Whom it runs as, if not as this process: it refuses root.
    user: Option<(u32, u32)>,
    port: u16,
}

impl Cluster {
    /// `None`, and a line that says so, without the programs.
    pub(crate) fn start(proof: &str) -> Option<Self> {
        let cluster = Self::make(proof)?;
        cluster.restart();
        Some(cluster)
    }

    /// With a certificate for `127.0.0.1` that is its own authority. Gives its file, too.
    pub(crate) fn start_with_tls(proof: &str) -> Option<(Self, PathBuf)> {
        let cluster = Self::make(proof)?;
        let (certificate, key) = (cluster.path("data/server.crt"), cluster.path("data/server.key"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"])
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let shown = cluster.path("server.crt");
        fs::copy(&certificate, &shown).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = cluster.user {
            chown(&key, Some(user), Some(group)).unwrap();
            chown(&certificate, Some(user), Some(group)).unwrap();
        }
        let settings = fs::read_to_string(cluster.path("data/postgresql.auto.conf")).unwrap();
        fs::write(cluster.path("data/postgresql.auto.conf"), settings + "ssl = on\n").unwrap();
        // Nobody gets in without.
        fs::write(cluster.path("data/pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n").unwrap();
        cluster.restart();
        Some((cluster, shown))
    }

    /// Not running.
    fn make(proof: &str) -> Option<Self> {
        let Some(programs) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
            assert!(std::env::var_os("CI").is_none(), "{VARIABLE} must name a folder in CI: see .ci/servers");
            println!("NOT RUN: {proof}: {VARIABLE} names no folder of initdb and pg_ctl, see .ci/servers");
            return None;
        };
        let directory = tempfile::Builder::new().prefix("distribution-postgres-").tempdir().unwrap();
        let user = rustix::process::getuid().is_root().then(unprivileged);
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = Self { programs, directory, user, port: free_port() };
        fs::create_dir(cluster.path("data")).unwrap();
        if let Some((user, group)) = user {
            chown(cluster.path("data"), Some(user), Some(group)).unwrap();
        }
        fs::write(cluster.path("password"), PASSWORD).unwrap();
        let password = format!("--pwfile={}", cluster.path("password").display());
        let setup = ["--username=test", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", &password];
        cluster.run("initdb", &setup);
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nlogging_collector = off\n",
            cluster.port
        );
        // Written by this user, read by the other.
        let file = cluster.path("data/postgresql.auto.conf");
        fs::write(&file, settings).unwrap();
        Some(cluster)
    }

    pub(crate) fn uri(&self) -> String {
        format!("postgres://test@127.0.0.1:{}/postgres", self.port)
    }

    /// As if the machine had lost its power, but for what the kernel holds.
    pub(crate) fn kill(&self) {
        self.run("pg_ctl", &["stop", "-m", "immediate", "-w"]);
    }

    /// Makes it a standby, which answers and takes no writes.
    pub(crate) fn demote(&self) {
        self.run("pg_ctl", &["stop", "-m", "fast", "-w"]);
        let signal = self.path("data/standby.signal");
        fs::write(&signal, "").unwrap();
        if let Some((user, group)) = self.user {
            chown(&signal, Some(user), Some(group)).unwrap();
        }
        self.restart();
    }

    /// Makes a standby the primary, without a restart.
    pub(crate) fn promote(&self) {
        self.run("pg_ctl", &["promote", "-w"]);
    }

    /// Until it answers, recovered.
    pub(crate) fn restart(&self) {
        self.run("pg_ctl", &["start", "-w", "-t", "60", "-l", self.path("data/log").to_str().unwrap()]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        assert!(
            self.try_run(program, arguments),
            "{program} {arguments:?} failed: see {}",
            self.directory.path().display()
        );
    }

    fn try_run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).arg("-D").arg(self.path("data")).current_dir(self.path("data"));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        // Not a pipe, which the server would keep.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may not be running.
        self.try_run("pg_ctl", &["stop", "-m", "immediate", "-w"]);
    }
}

fn unprivileged() -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(|number| number.parse().unwrap());
        Some((numbers.next()?, numbers.next()?))
    };
    find("postgres").or_else(|| find("nobody")).expect("a user that is not root")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
