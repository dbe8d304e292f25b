//! MP4s made box by box.

use distribution_core::{MediaFacts, MediaTrack};
use mp4_atom::{Mehd, Mvhd, Tfdt, Tfhd, Trex, Trun, TrunEntry, TrunSamples};

use crate::support::{boxed, encoded, ftyp, header, inspect, mdat, moov, mvhd, track, tracks};

fn expected() -> MediaFacts {
    let video = MediaTrack { kind: "video".into(), codec: Some("avc1".into()), width: Some(1920), height: Some(1080) };
    let audio = MediaTrack { kind: "audio".into(), codec: Some("mp4a".into()), ..MediaTrack::default() };
    MediaFacts {
        duration_seconds: Some(9.7),
        faststart: Some(true),
        tracks: vec![video, audio],
        ..MediaFacts::default()
    }
}

#[test]
fn an_ordinary_file_takes_a_few_reads_and_its_sample_tables_none() {
    for (file, faststart) in [
        ([ftyp(), moov(), mdat(500_000)].concat(), true),
        ([ftyp(), boxed(b"free", &[]), mdat(500_000), moov()].concat(), false),
        ([ftyp(), boxed(b"wide", &[]), header(b"mdat", 0), vec![0; 9_000]].concat(), false),
    ] {
        let has_moov = file.windows(4).any(|four| four == b"moov");
        let (facts, (reads, bytes)) = inspect(file);
        if has_moov {
            assert_eq!(facts, MediaFacts { faststart: Some(faststart), ..expected() });
        } else {
            assert_eq!(facts.not_mp4.as_deref(), Some("it has no `moov` box"), "a size of 0 goes to the end");
        }
        assert!(reads <= 6 && bytes <= 6 * 4096, "{reads} reads, {bytes} bytes");
    }
}

#[test]
fn sizes_of_64_bits_are_sizes() {
    let mut large = header(b"mdat", 1 << 33);
    large[8..].copy_from_slice(&1_016_u64.to_be_bytes());
    let (facts, _) = inspect([ftyp(), large, vec![0; 1_000], moov()].concat());
    assert_eq!(facts, MediaFacts { faststart: Some(false), ..expected() });
}

#[test]
fn what_is_no_mp4_is_told_with_the_reason() {
    let no_ftyp = "it does not begin with a `ftyp` box";
    let no_mvhd = "its `moov` box has no `mvhd` box that can be read";
    let too_large = "its `moov` box has a box in it that is larger than it";
    let beyond = "its `mdat` box says that it goes on for 100 bytes behind its end";
    for (file, why) in [
        (vec![], no_ftyp.to_owned()),
        (b"ftyp".to_vec(), no_ftyp.to_owned()),
        (b"approved bytes that are no video".to_vec(), no_ftyp.to_owned()),
        (vec![0; 100_000], no_ftyp.to_owned()),
        (moov(), no_ftyp.to_owned()),
        (ftyp(), "it has no `moov` box".to_owned()),
        ([ftyp(), boxed(b"meta", &[]), mdat(9)].concat(), "it has no `moov` box".to_owned()),
        ([ftyp(), boxed(b"moov", &[])].concat(), no_mvhd.to_owned()),
        ([ftyp(), boxed(b"moov", &[&mvhd()[..60]])].concat(), too_large.to_owned()),
        ([ftyp(), boxed(b"moov", &[&boxed(b"mvhd", &[&[0; 9]])])].concat(), no_mvhd.to_owned()),
        ([ftyp(), header(b"mdat", 1_108), vec![0; 1_000]].concat(), format!("it has no `moov` box, and {beyond}")),
    ] {
        let (facts, _) = inspect(file);
        let told = facts.not_mp4.clone().unwrap();
        assert_eq!(told, why);
        assert_eq!(facts, MediaFacts { not_mp4: Some(told), ..MediaFacts::default() });
    }
}

#[test]
fn a_file_that_was_cut_says_so() {
    let whole = [ftyp(), moov(), mdat(50_000)].concat();
    let (facts, _) = inspect(whole[..whole.len() - 1].to_vec());
    let incomplete = Some("its `mdat` box says that it goes on for 1 bytes behind its end".to_owned());
    assert_eq!(facts, MediaFacts { incomplete, ..expected() });
    // Fewer than 8 bytes behind the last box are no box.
    assert_eq!(inspect([whole, vec![0; 7]].concat()).0, expected());
}

#[test]
fn where_the_movie_does_not_tell_its_duration_its_longest_track_does() {
    for unknown in [0, u64::MAX, u64::from(u32::MAX)] {
        let mvhd = encoded(&Mvhd { timescale: 1_000, duration: unknown, ..Mvhd::default() });
        let (facts, _) = inspect([ftyp(), boxed(b"moov", &[&mvhd, &tracks()]), mdat(9)].concat());
        assert_eq!(facts.duration_seconds, Some(9.7));
    }
    let no_clock = encoded(&Mvhd { timescale: 0, duration: 9_700, ..Mvhd::default() });
    let (facts, _) = inspect([ftyp(), boxed(b"moov", &[&no_clock]), mdat(9)].concat());
    assert_eq!(facts, MediaFacts { faststart: Some(true), ..MediaFacts::default() });
}

#[test]
fn an_odd_track_does_not_make_a_file_none() {
    let odd = [
        boxed(b"trak", &[&[0, 0, 0, 7], b"tkhd", &[0; 90]]),
        boxed(b"trak", &[&boxed(b"mdia", &[&boxed(b"hdlr", &[&[0; 5]]), &boxed(b"mdhd", &[&[9; 3]])])]),
        track(3, b"tm\xffd", 1, 1_000, &boxed(b"t\0cd", &[])),
        track(4, b"vide", 1, 1_000, &boxed(b"avc1", &[&[0; 77]])),
        track(5, b"vide", 1, 1_000, &[]),
    ];
    let (facts, _) = inspect([ftyp(), boxed(b"moov", &[&odd.concat(), &mvhd()]), mdat(9)].concat());
    let shown: Vec<_> = facts.tracks.iter().map(|track| (track.kind.as_str(), track.codec.as_deref())).collect();
    let codes =
        [("unknown", None), ("unknown", None), ("tm?d", Some("t?cd")), ("video", Some("avc1")), ("video", None)];
    assert_eq!(shown, codes);
    assert_eq!((facts.not_mp4, facts.duration_seconds), (None, Some(9.7)));
}

/// `moov` of a fragmented file with one track of 1,000 units a second.
fn fragmented(mehd: Option<u64>) -> Vec<u8> {
    let mvhd = encoded(&Mvhd { timescale: 1_000, ..Mvhd::default() });
    let trex = encoded(&Trex { track_id: 1, default_sample_duration: 40, ..Trex::default() });
    let mehd = mehd.map_or_else(Vec::new, |fragment_duration| encoded(&Mehd { fragment_duration }));
    let track = track(1, b"vide", 1_000, 0, &boxed(b"av01", &[]));
    boxed(b"moov", &[&mvhd, &track, &boxed(b"mvex", &[&mehd, &trex])])
}

fn fragment(time: u64, trun: &Trun) -> Vec<u8> {
    let tfhd = encoded(&Tfhd { track_id: 1, ..Tfhd::default() });
    let tfdt = encoded(&Tfdt { base_media_decode_time: time });
    let traf = boxed(b"traf", &[&tfhd, &tfdt, &encoded(trun)]);
    [boxed(b"moof", &[&boxed(b"mfhd", &[&[0; 8]]), &traf]), mdat(2_000)].concat()
}

fn run(count: u32) -> Trun {
    Trun { data_offset: None, samples: TrunSamples::Inherited { count, first_flags: None } }
}

#[test]
fn fragments_are_followed_to_the_last_and_their_time_counts_from_the_first() {
    let of = |duration| TrunEntry { duration: Some(duration), ..TrunEntry::default() };
    let explicit = Trun { data_offset: None, samples: TrunSamples::Explicit(vec![of(30), of(50), of(100)]) };
    for begins in [0, 90_000] {
        let fragments = (0..100).flat_map(|n| fragment(begins + n * 1_000, &run(25))).collect::<Vec<_>>();
        let last = fragment(begins + 100_000, &explicit);
        let (facts, _) = inspect([ftyp(), fragmented(None), fragments.clone(), last].concat());
        assert_eq!((facts.fragmented, facts.duration_seconds), (true, Some(100.18)), "from {begins}");
        assert_eq!((facts.faststart, facts.incomplete), (Some(true), None));
        assert_eq!(facts.tracks[0].codec.as_deref(), Some("av01"));
        let (cut, _) = inspect([ftyp(), fragmented(None), fragments[..fragments.len() - 9].to_vec()].concat());
        assert_eq!((cut.incomplete.is_some(), cut.duration_seconds), (true, Some(100.0)));
    }
}

#[test]
fn too_many_fragments_without_an_index_tell_no_duration_but_by_the_movie_extends_header() {
    let fragments = (0..5_000).flat_map(|n| fragment(n * 1_000, &run(25))).collect::<Vec<_>>();
    for (mehd, told) in [(None, None), (Some(5_000_000), Some(5_000.0))] {
        let (facts, (reads, bytes)) = inspect([ftyp(), fragmented(mehd), fragments.clone()].concat());
        assert_eq!((facts.duration_seconds, facts.incomplete), (told, None));
        assert!(reads <= 4_096 && bytes <= 16 << 20, "{reads} reads, {bytes} bytes");
    }
}

#[test]
fn a_fragment_without_a_time_tells_no_duration() {
    let traf = boxed(b"traf", &[&encoded(&Tfhd { track_id: 1, ..Tfhd::default() }), &encoded(&run(25))]);
    let (facts, _) = inspect([ftyp(), fragmented(None), boxed(b"moof", &[&traf]), mdat(9)].concat());
    assert_eq!((facts.duration_seconds, facts.fragmented, facts.not_mp4), (None, true, None));
}
