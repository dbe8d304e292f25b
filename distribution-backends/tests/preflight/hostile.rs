//! Files that are made to break whoever reads them: bounded reads, and an answer.

use fastrand::Rng;

use crate::support::{boxed, encoded, ftyp, header, inspect, mdat, moov, mvhd, tracks};

/// An answer, within the limits that are documented.
fn bounded(what: &str, file: Vec<u8>) {
    let size = file.len() as u64;
    let (facts, (reads, bytes)) = inspect(file);
    assert!(reads <= 4_096 && bytes <= 16 << 20, "{what}: {reads} reads, {bytes} bytes of {size}");
    assert!(facts.duration_seconds.is_none_or(f64::is_finite), "{what}: {facts:?}");
}

#[test]
fn cut_at_every_byte() {
    let small = boxed(b"moov", &[&mvhd(), &tracks()[..700]]);
    for file in [[ftyp(), small.clone(), mdat(50)].concat(), [ftyp(), mdat(50), small].concat()] {
        for end in 0..=file.len() {
            bounded(&format!("cut at {end}"), file[..end].to_vec());
        }
    }
}

#[test]
fn impossible_and_huge_sizes() {
    for size in [0, 1, 2, 7, 8, 9, 15, 16, 17, 0x7fff_ffff, 0xffff_ffff_u64] {
        for kind in [b"ftyp", b"moov", b"mdat", b"moof", b"sidx", b"mfra", b"free"] {
            let odd = [&(size as u32).to_be_bytes()[..], kind].concat();
            bounded("alone", odd.clone());
            bounded("behind", [ftyp(), odd.clone(), vec![0; 100]].concat());
            bounded("behind moov", [ftyp(), moov(), odd.clone(), vec![0xff; 100]].concat());
            bounded("in moov", [ftyp(), boxed(b"moov", &[&mvhd(), &odd, &[0; 50]]), mdat(9)].concat());
        }
    }
    for size in [0, 1, 15, 16, 17, 1 << 32, 1 << 40, 1 << 63, u64::MAX - 8, u64::MAX] {
        let mut odd = header(b"mdat", 1 << 40);
        odd[8..].copy_from_slice(&u64::to_be_bytes(size));
        bounded("64 bits", [ftyp(), odd.clone(), moov()].concat());
        bounded("64 bits in moov", [ftyp(), boxed(b"moov", &[&odd, &mvhd()]), mdat(9)].concat());
    }
}

#[test]
fn a_million_empty_boxes() {
    for kind in [b"free", b"mdat", b"moof", b"sidx"] {
        bounded("at the top", [ftyp(), moov(), boxed(kind, &[]).repeat(1 << 20)].concat());
    }
    for kind in [b"trak", b"free", b"mvex"] {
        let file = [ftyp(), boxed(b"moov", &[&boxed(kind, &[]).repeat(1 << 20), &mvhd()])].concat();
        let (facts, (reads, _)) = inspect(file);
        assert!(reads <= 4_096);
        assert_eq!(facts.not_mp4.as_deref(), Some("it has more boxes than any video needs"));
    }
}

#[test]
fn boxes_within_boxes_within_boxes() {
    for kind in [b"moov", b"trak", b"mdia", b"stbl", b"mvex", b"meta", b"traf"] {
        // Each goes to the end of what it is in: a million of them.
        let nested: Vec<u8> =
            (1..=1_u32 << 20).rev().flat_map(|n| [&(n * 8).to_be_bytes()[..], kind].concat()).collect();
        bounded("in moov", [ftyp(), boxed(b"moov", &[&mvhd(), &nested]), mdat(9)].concat());
        bounded("at the top", [ftyp(), nested.clone()].concat());
        bounded("in a fragment", [ftyp(), moov(), boxed(b"moof", &[&nested])].concat());
    }
}

#[test]
fn tables_that_claim_more_than_there_is() {
    let full = [0xff; 400];
    for kind in [b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"stsd", b"elst", b"mehd", b"trex", b"tfhd", b"tfdt", b"trun"] {
        for version in [0, 1, 0xff] {
            let table = boxed(kind, &[&[version, 0, 0xf, 0xff], &full]);
            let stbl = boxed(b"minf", &[&boxed(b"stbl", &[&table])]);
            let track = boxed(b"trak", &[&table, &boxed(b"mdia", &[&table, &stbl])]);
            let movie = boxed(b"moov", &[&mvhd(), &track, &boxed(b"mvex", &[&table])]);
            let moof = boxed(b"moof", &[&boxed(b"traf", &[&table, &table])]);
            bounded("tables", [ftyp(), movie, moof.clone(), mdat(9), moof].concat());
        }
    }
}

#[test]
fn an_index_that_leads_astray_is_not_followed() {
    let movie = boxed(b"moov", &[&mvhd(), &tracks(), &boxed(b"mvex", &[])]);
    let moof = boxed(b"moof", &[]);
    let before = [ftyp(), movie, moof, mdat(9)].concat();
    for offset in [0, 1, 28, before.len() as u32, u32::MAX] {
        // One entry, of version 0: time, offset, three numbers of a byte.
        let tfra = boxed(
            b"tfra",
            &[&[0; 4], &[0, 0, 0, 1], &[0; 4], &1_u32.to_be_bytes(), &[0; 4], &offset.to_be_bytes(), &[1; 3]],
        );
        for parent in [0, 8, tfra.len() as u32 + 24, 1 << 20, u32::MAX] {
            let mfro = boxed(b"mfro", &[&[0; 4], &parent.to_be_bytes()]);
            bounded("mfra", [before.clone(), boxed(b"mfra", &[&tfra, &mfro])].concat());
        }
    }
    for size in [0, 1, 1 << 20, 0x7fff_ffff] {
        let reference = mp4_atom::SegmentReference {
            reference_type: false,
            referenced_size: size,
            subsegment_duration: u32::MAX,
            starts_with_sap: true,
            sap_type: 1,
            sap_delta_time: 0,
        };
        let index = mp4_atom::Sidx {
            timescale: 0,
            first_offset: u64::MAX,
            references: vec![reference; 65_535],
            ..mp4_atom::Sidx::default()
        };
        bounded("sidx", [&ftyp()[..], &encoded(&index), &before[ftyp().len()..]].concat());
    }
}

#[test]
fn proof_that_changed_files_are_answered() {
    let sound = [
        [ftyp(), moov(), mdat(300)].concat(),
        [ftyp(), mdat(300), moov()].concat(),
        [ftyp(), boxed(b"moov", &[&mvhd(), &tracks(), &boxed(b"mvex", &[])]), boxed(b"moof", &[&[0; 90]]), mdat(9)]
            .concat(),
    ];
    let runs = distribution_testkit::Budget::chosen().pick(2_000, 50_000, 1_000_000);
    for n in 0..runs {
        let mut chance = Rng::with_seed(n as u64);
        let mut file = sound[n % sound.len()].clone();
        for _ in 0..=chance.usize(..8) {
            // The first KiB has nearly all headers.
            let most = 1 << chance.usize(4..20);
            let at = chance.usize(..file.len().min(most));
            match chance.usize(..4) {
                0 => file[at] = chance.u8(..),
                1 => file[at] ^= 1 << chance.usize(..8),
                2 => drop(file.drain(at..(at + chance.usize(1..64)).min(file.len()))),
                _ => drop(file.splice(at..at, [0xff, 0, 1, 8][chance.usize(..4)..].to_vec())),
            }
            if file.is_empty() {
                break;
            }
        }
        bounded(&format!("seed {n}"), file);
    }
    println!("proof_preflight_hostile: {runs} changed files, all answered within the limits");
}
