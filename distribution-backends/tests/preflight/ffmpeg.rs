//! Files as ffmpeg makes them, held to what ffprobe says of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use distribution_core::MediaFacts;

use crate::support::inspect;

/// What is made, from 6 seconds of video and 6.2 of audio: its name, the encoder of its video, and more arguments.
const FILES: [(&str, &str, &[&str]); 14] = [
    ("h264-moov-at-the-end", "libx264", &[]),
    ("h264-faststart", "libx264", &["-bf", "2", "-movflags", "+faststart"]),
    ("hevc", "libx265", &["-x265-params", "log-level=error", "-tag:v", "hvc1"]),
    ("av1", "libsvtav1", &["-preset", "12"]),
    ("fragmented-by-key-frame", "libx264", &["-g", "25", "-movflags", "frag_keyframe"]),
    ("fragmented-empty-moov", "libx264", &["-g", "25", "-movflags", "frag_keyframe+empty_moov"]),
    ("fragmented-b-frames", "libx264", &["-g", "25", "-bf", "2", "-movflags", "frag_keyframe+empty_moov"]),
    ("fragmented-by-time", "libx264", &["-movflags", "empty_moov+default_base_moof", "-frag_duration", "300000"]),
    ("fragmented-no-index", "libx264", &["-g", "25", "-movflags", "frag_keyframe+empty_moov+delay_moov+skip_trailer"]),
    ("fragmented-cmaf", "libx264", &["-g", "25", "-movflags", "cmaf"]),
    ("fragmented-dash", "libx264", &["-g", "25", "-movflags", "dash"]),
    ("fragmented-segment-index", "libx264", &["-g", "25", "-movflags", "dash+global_sidx+skip_trailer"]),
    ("no-audio", "libx264", &["-an", "-video_track_timescale", "90000"]),
    ("only-audio", "libx264", &["-vn"]),
];

#[test]
fn proof_that_durations_are_those_of_ffprobe() {
    let name = "proof_preflight_durations";
    if let Err(why) = ffmpeg(&["-version"]) {
        return not_run(name, &why);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for (which, encoder, arguments) in FILES {
        let path = folder.path().join(format!("{which}.mp4"));
        match make(&path, encoder, arguments) {
            Ok(()) => compared += compare(which, &path, encoder),
            Err(why) => not_run(&format!("{name} of {which}"), &why),
        }
    }
    let whole = folder.path().join("h264-faststart.mp4");
    for (which, before, behind) in [
        ("edit-list-cut", &["-ss", "1.3"][..], &[][..]),
        ("edit-list-delay", &["-itsoffset", "0.7"], &["-i", "WHOLE", "-map", "0:v", "-map", "1:a"]),
    ] {
        let path = folder.path().join(format!("{which}.mp4"));
        let whole = whole.to_str().unwrap();
        let behind = behind.iter().map(|argument| if *argument == "WHOLE" { whole } else { argument });
        let arguments: Vec<&str> = before.iter().copied().chain(["-i", whole]).chain(behind).collect();
        match ffmpeg(&[&arguments[..], &["-c", "copy", path.to_str().unwrap()]].concat()) {
            Ok(()) => compared += compare(which, &path, "libx264"),
            Err(why) => not_run(&format!("{name} of {which}"), &why),
        }
    }
    println!("{name}: {compared} files, each within 50 ms of ffprobe");
}

/// What is not on this machine is said by name. CI installs ffmpeg, and fails where this is said.
fn not_run(proof: &str, why: &str) {
    println!("NOT RUN: {proof}: {why}");
}

fn make(path: &Path, encoder: &str, arguments: &[&str]) -> Result<(), String> {
    let inputs = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=6", "-f", "lavfi", "-i", "sine=f=440:d=6.2"];
    let codecs = ["-c:v", encoder, "-c:a", "aac"];
    let fast: &[&str] = if encoder == "libsvtav1" { &[] } else { &["-preset", "ultrafast"] };
    ffmpeg(&[&inputs[..], &codecs, fast, arguments, &[path.to_str().unwrap()]].concat())
}

fn ffmpeg(arguments: &[&str]) -> Result<(), String> {
    let made = Command::new("ffmpeg").args(["-hide_banner", "-loglevel", "error", "-y"]).args(arguments).output();
    let made = made.map_err(|error| format!("ffmpeg: {error}"))?;
    let said = String::from_utf8_lossy(&made.stderr).lines().next().unwrap_or_default().to_owned();
    if made.status.success() { Ok(()) } else { Err(format!("ffmpeg: {said}")) }
}

fn probe(path: &Path, entries: &str) -> Vec<String> {
    let arguments = ["-v", "error", "-of", "csv=p=0", "-show_entries", entries];
    let said = Command::new("ffprobe").args(arguments).arg(path).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    said.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

/// The sum of what ffprobe tells of each packet.
fn longest_stream(path: &Path) -> f64 {
    let mut streams = [0.0; 2];
    for line in probe(path, "packet=stream_index,duration_time") {
        let (stream, duration) = line.split_once(',').unwrap();
        streams[stream.parse::<usize>().unwrap()] += duration.trim_end_matches(',').parse().unwrap_or(0.0);
    }
    streams.into_iter().reduce(f64::max).unwrap()
}

fn compare(which: &str, path: &Path, encoder: &str) -> usize {
    let (facts, (reads, bytes)) = inspect(fs::read(path).unwrap());
    let MediaFacts { not_mp4, incomplete, .. } = &facts;
    assert_eq!((not_mp4, incomplete), (&None, &None), "{which}");
    let ours = facts.duration_seconds.unwrap_or_default();
    let theirs = match which {
        // One index for each fragment: ffprobe takes the last video frame's for the end of all, and reads on.
        "fragmented-dash" => longest_stream(path),
        _ => probe(path, "format=duration")[0].parse().unwrap(),
    };
    println!("{which}: {ours:.4} s, ffprobe {theirs:.4} s; {reads} reads, {bytes} bytes; {facts:?}");
    assert!((ours - theirs).abs() <= 0.05, "{which}: {ours} and not {theirs}");
    assert_eq!(facts.fragmented, which.starts_with("fragmented"), "{which}");
    assert_eq!(facts.faststart, Some(facts.fragmented || which == "h264-faststart"), "{which}");
    let videos = probe(path, "stream=width,height");
    let video = facts.tracks.iter().find(|track| track.kind == "video");
    if let Some(video) = video {
        let codec = match encoder {
            "libx265" => "hvc1",
            "libsvtav1" => "av01",
            _ => "avc1",
        };
        assert_eq!(video.codec.as_deref(), Some(codec), "{which}");
        let size = format!("{},{}", video.width.unwrap(), video.height.unwrap());
        assert!(videos.iter().any(|line| line.contains(&size)), "{which}: {size} and not {videos:?}");
    }
    assert_eq!(video.is_some(), which != "only-audio");
    assert_eq!(facts.tracks.iter().any(|track| track.codec.as_deref() == Some("mp4a")), which != "no-audio");
    1
}
