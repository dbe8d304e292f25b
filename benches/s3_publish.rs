//! Publishing into S3 against what people run instead, in interleaved rounds on one server.
//!
//! `DISTRIBUTION_TEST_S3="http://host:port ID SECRET"` names the server, and `.ci/servers` starts one;
//! `s5cmd` and `rclone` are on the path, and `.ci/bench-tools` fetches them:
//!
//! ```sh
//! eval "$(.ci/servers start)"
//! PATH="$(.ci/bench-tools):$PATH" cargo bench --bench s3_publish
//! .ci/servers stop
//! ```
//!
//! Every round uploads a file from the page cache: by `Storage::create`, by a whole publish, which reads
//! the object back, by `s5cmd cp`, by `rclone copyto`, and the way a careful person types it: openssl,
//! `s5cmd cp`, `s5cmd cat`, openssl. Each is a process of its own. Server and clients share the machine,
//! whose noise is about the same for all, so read the ratios.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use distribution_backends::{LocalFiles, S3Config, S3Storage};
use distribution_core::{
    Checksum, Content, ContentHeaders, CreateOutcome, Error, Meter, ObjectKey, Source as _, Storage, VideoUrl,
};

use self::common::{Result, Scratch, memory_kib};
use self::files::{openssl, publisher, timed};
use self::measured::{make_file, median, ratio, run};
use self::request::request;

mod common;
#[path = "common/files.rs"]
mod files;
#[path = "common/measured.rs"]
mod measured;
#[path = "common/request.rs"]
mod request;

/// Times publishing into S3 against s5cmd, rclone, and `openssl; s5cmd cp; s5cmd cat | openssl`.
#[derive(Parser)]
struct Options {
    /// Size of the file in MiB.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// How many interleaved rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Where the file goes; it is removed at the end.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    dir: PathBuf,
    /// Seconds to wait after each removal, in which the server gives the space back.
    #[arg(long, default_value_t = 3.0)]
    settle: f64,
    /// Does this with `clip.mp4` in --dir, and prints what it took.
    #[arg(long, hide = true)]
    only: Option<Own>,
    /// What `cargo bench` passes.
    #[arg(long, hide = true)]
    bench: bool,
}

/// However large the file.
const PEAK_KIB_MAX: u64 = 128 << 10;

/// What this bench measures of ours.
#[derive(Clone, Copy, ValueEnum)]
enum Own {
    Create,
    Publish,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(own) = options.only {
        return measure(own, &options.dir);
    }
    match std::env::var("DISTRIBUTION_TEST_S3") {
        Ok(server) => compare(&options, &Server::parse(&server)?),
        Err(_) if std::env::var_os("CI").is_some() => Err("DISTRIBUTION_TEST_S3 names no server".into()),
        Err(_) => {
            println!("NOT RUN: DISTRIBUTION_TEST_S3 names no server; see benches/s3_publish.rs");
            Ok(())
        }
    }
}

fn compare(options: &Options, server: &Server) -> Result<()> {
    let work = Scratch(options.dir.join(format!("s3-publish-{}", std::process::id())));
    fs::create_dir_all(&work.0)?;
    let clip = work.0.join("clip.mp4");
    make_file(&clip, options.mib << 20)?;
    fs::write(work.0.join("checksum"), openssl(&clip)?)?;
    let bucket = Bucket::make(server)?;
    let ways = ["create", "publish", "s5cmd", "rclone", "shell"];
    let mut used: [Vec<Used>; 5] = Default::default();
    println!("{} MiB, {} rounds; seconds", options.mib, options.rounds);
    println!("{}", ways.map(|way| format!("{way:>9}")).join(" "));
    // Memory that a server has never touched costs it much: this is not measured.
    bucket.s5cmd(&clip)?;
    for _ in 0..options.rounds {
        for (way, used) in ways.iter().zip(&mut used) {
            bucket.empty()?;
            sleep(Duration::from_secs_f64(options.settle));
            used.push(match *way {
                "create" => bucket.own(Own::Create, &work.0)?,
                "publish" => bucket.own(Own::Publish, &work.0)?,
                "s5cmd" => Used::by(|| bucket.s5cmd(&clip))?,
                "rclone" => Used::by(|| bucket.rclone(&clip))?,
                _ => Used::by(|| bucket.shell(&clip))?,
            });
        }
        println!("{}", columns(&used, |used| used.last().map_or(f64::NAN, |used| used.seconds), 3));
    }
    report(&used)
}

fn report(used: &[Vec<Used>; 5]) -> Result<()> {
    let all = |used: &[Used], of: fn(&Used) -> f64| used.iter().map(of).collect::<Vec<_>>();
    println!("{}  medians", columns(used, |used| median(&all(used, |used| used.seconds)), 3));
    println!("{}  CPU seconds of the client", columns(used, |used| median(&all(used, |used| used.cpu)), 2));
    let [create, publish, s5cmd, rclone, shell] = used.each_ref().map(|used| all(used, |used| used.seconds));
    println!("create takes {:.2} of s5cmd cp, {:.2} of rclone copyto", ratio(&create, &s5cmd), ratio(&create, &rclone));
    println!("publish, read back, takes {:.2} of openssl; s5cmd cp; s5cmd cat | openssl", ratio(&publish, &shell));
    let peak = used.iter().take(2).flatten().map(|used| used.peak_kib).max().unwrap_or_default();
    println!("{:.1} MiB peak memory of the processes that create and publish", peak as f64 / 1024.0);
    // Unlike times, this is no matter of luck.
    if peak > PEAK_KIB_MAX { Err("that is more memory than is allowed".into()) } else { Ok(()) }
}

fn columns(used: &[Vec<Used>; 5], value: impl Fn(&[Used]) -> f64, digits: usize) -> String {
    used.each_ref().map(|used| format!("{:9.digits$}", value(used))).join(" ")
}

/// In a process of its own: creates or publishes `clip.mp4`, and prints seconds, CPU seconds, and peak KiB.
/// To open the bucket, and look what it can do, is not part of it.
fn measure(own: Own, dir: &Path) -> Result<()> {
    let checksum = Checksum::parse(&fs::read_to_string(dir.join("checksum"))?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let used = runtime.block_on(async {
        let storage = open(&std::env::var("BENCH_TARGET")?).await?;
        match own {
            Own::Create => create(dir, checksum, &*storage).await,
            Own::Publish => publish(dir, checksum, storage).await,
        }
    })?;
    println!("{} {} {}", used.seconds, used.cpu, used.peak_kib);
    Ok(())
}

async fn create(dir: &Path, expected: Checksum, storage: &dyn Storage) -> Result<Used> {
    let staged = LocalFiles::open(dir)?.open(&VideoUrl::parse("clip.mp4")?).await?.ok_or("nothing is staged")?;
    let headers = ContentHeaders {
        content_type: "video/mp4".to_owned(),
        content_disposition: "inline".to_owned(),
        cache_control: "private".to_owned(),
        user_metadata: BTreeMap::new(),
    };
    let content = Content { size: staged.pin.size, expected, headers, body: staged.body, meter: Meter::default() };
    let key = ObjectKey::parse("clip.mp4")?;
    let (start, cpu) = (Instant::now(), cpu_seconds(Whose::Own)?);
    match storage.create(&key, content).await? {
        CreateOutcome::Created { .. } => Used::since(start, cpu),
        outcome => Err(format!("{outcome:?}").into()),
    }
}

async fn publish(dir: &Path, checksum: Checksum, storage: Arc<dyn Storage>) -> Result<Used> {
    let store = dir.join("store");
    let _ = fs::remove_dir_all(&store);
    fs::create_dir(&store)?;
    let (publisher, request) = (publisher(dir, &store, storage).await?, request(checksum)?);
    let (start, cpu) = (Instant::now(), cpu_seconds(Whose::Own)?);
    publisher.publish(request).await?;
    Used::since(start, cpu)
}

/// The production storage.
async fn open(target: &str) -> std::result::Result<Arc<dyn Storage>, Error> {
    Ok(Arc::new(S3Storage::open(S3Config::from_uri(target)?).await?))
}

struct Server {
    endpoint: String,
    id: String,
    secret: String,
}

impl Server {
    fn parse(text: &str) -> Result<Self> {
        let [endpoint, id, secret] = text.split(' ').collect::<Vec<_>>()[..] else {
            return Err("DISTRIBUTION_TEST_S3 is not \"http://host:port ID SECRET\"".into());
        };
        Ok(Self { endpoint: endpoint.to_owned(), id: id.to_owned(), secret: secret.to_owned() })
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("AWS_ACCESS_KEY_ID", &self.id)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret)
            .env("AWS_REGION", "us-east-1")
            .env("S3_ENDPOINT_URL", &self.endpoint)
            // rclone fails where there is one, and nothing here speaks TLS.
            .env_remove("AWS_CA_BUNDLE");
        command
    }
}

/// A bucket of this run, removed with what is in it.
struct Bucket<'a> {
    server: &'a Server,
    name: String,
}

impl<'a> Bucket<'a> {
    fn make(server: &'a Server) -> Result<Self> {
        let name = format!("s3-publish-{}", std::process::id());
        run(server.command("s5cmd").args(["mb", &format!("s3://{name}")]))?;
        Ok(Self { server, name })
    }

    fn own(&self, own: Own, dir: &Path) -> Result<Used> {
        let own = own.to_possible_value().ok_or("has no name")?;
        let target = format!("s3://{}?endpoint={}&region=us-east-1", self.name, self.server.endpoint);
        let mut command = self.server.command(std::env::current_exe()?);
        let text = run(command.env("BENCH_TARGET", target).arg("--dir").arg(dir).args(["--only", own.get_name()]))?;
        let [seconds, cpu, peak_kib] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(format!("the process printed {text:?}").into());
        };
        Ok(Used { seconds: seconds.parse()?, cpu: cpu.parse()?, peak_kib: peak_kib.parse()? })
    }

    fn s5cmd(&self, clip: &Path) -> Result<()> {
        run(self.server.command("s5cmd").arg("cp").arg(clip).arg(self.object())).map(drop)
    }

    fn rclone(&self, clip: &Path) -> Result<()> {
        let mut command = self.server.command("rclone");
        command.env("RCLONE_CONFIG", "/dev/null").arg("copyto").arg(clip);
        command.args(["--s3-provider", "Ceph", "--s3-env-auth", "--s3-endpoint", &self.server.endpoint]);
        run(command.arg(format!(":s3:{}/clip.mp4", self.name))).map(drop)
    }

    /// What a careful person types.
    fn shell(&self, clip: &Path) -> Result<()> {
        let script = r#"set -e
            openssl dgst -sha256 -r "$1"
            s5cmd cp "$1" "$2" >/dev/null
            s5cmd cat "$2" | openssl dgst -sha256 -r"#;
        let text = run(self.server.command("sh").args(["-c", script, "sh"]).arg(clip).arg(self.object()))?;
        let digests: Vec<_> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        match digests[..] {
            [before, after] if before == after => Ok(()),
            _ => Err(format!("the shell way printed {text:?}").into()),
        }
    }

    fn object(&self) -> String {
        format!("s3://{}/clip.mp4", self.name)
    }

    fn empty(&self) -> Result<()> {
        let all = format!("s3://{}/*", self.name);
        run(self.server.command("s5cmd").args(["rm", &all])).map(drop)
    }
}

impl Drop for Bucket<'_> {
    fn drop(&mut self) {
        let _ = self.empty();
        let _ = run(self.server.command("s5cmd").args(["rb", &format!("s3://{}", self.name)]));
    }
}

/// What one upload took.
struct Used {
    seconds: f64,
    cpu: f64,
    /// Of our own processes only.
    peak_kib: u64,
}

impl Used {
    /// By processes that `work` starts and waits for.
    fn by(work: impl FnOnce() -> Result<()>) -> Result<Self> {
        let cpu = cpu_seconds(Whose::Children)?;
        let seconds = timed(work)?;
        Ok(Self { seconds, cpu: cpu_seconds(Whose::Children)? - cpu, peak_kib: 0 })
    }

    /// By this process since then.
    fn since(start: Instant, cpu: f64) -> Result<Self> {
        let seconds = start.elapsed().as_secs_f64();
        Ok(Self { seconds, cpu: cpu_seconds(Whose::Own)? - cpu, peak_kib: memory_kib("VmHWM:")? })
    }
}

#[derive(Clone, Copy)]
enum Whose {
    Own = 14,
    Children = 16,
}

/// User and system time of this process, or of those that it has waited for (Linux, `proc_pid_stat(5)`:
/// fields 14 to 17, in ticks of which Linux has 100 a second everywhere).
fn cpu_seconds(whose: Whose) -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or_else(|| io::Error::other("no /proc/self/stat"))?;
    // The first one after the name is field 3.
    let times = fields.split_whitespace().skip(whose as usize - 3).take(2);
    Ok(times.map(|ticks| ticks.parse::<f64>()).sum::<std::result::Result<f64, _>>()? / 100.0)
}
