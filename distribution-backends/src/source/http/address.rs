//! Which addresses may be connected to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use distribution_core::{Error, ErrorKind};

/// What is no address of a host on the public Internet, from the IANA special-purpose registries
/// (RFC 6890 and what was registered since), with the deprecated ones. Where a registry calls a part of a
/// block reachable (192.0.0.9), the block is here as a whole.
const NOT_GLOBAL_V4: [([u8; 4], u8); 15] = [
    ([0, 0, 0, 0], 8),        // this network (RFC 791)
    ([10, 0, 0, 0], 8),       // private use (RFC 1918)
    ([100, 64, 0, 0], 10),    // shared address space (RFC 6598); Alibaba's metadata at 100.100.100.200
    ([127, 0, 0, 0], 8),      // loopback (RFC 1122)
    ([168, 63, 129, 16], 32), // not IANA's: within Azure, a service of the host that the machine runs on
    ([169, 254, 0, 0], 16),   // link local (RFC 3927); metadata of most clouds at 169.254.169.254
    ([172, 16, 0, 0], 12),    // private use (RFC 1918)
    ([192, 0, 0, 0], 24),     // IETF protocol assignments (RFC 6890); Oracle's metadata at 192.0.0.192
    ([192, 0, 2, 0], 24),     // documentation (RFC 5737)
    ([192, 88, 99, 0], 24),   // 6to4 relays, deprecated (RFC 7526)
    ([192, 168, 0, 0], 16),   // private use (RFC 1918)
    ([198, 18, 0, 0], 15),    // benchmarking (RFC 2544)
    ([198, 51, 100, 0], 24),  // documentation (RFC 5737)
    ([203, 0, 113, 0], 24),   // documentation (RFC 5737)
    ([224, 0, 0, 0], 3),      // multicast (RFC 5771), reserved (RFC 1112) and broadcast (RFC 919)
];

/// The only block of IPv6 with global unicast addresses (RFC 4291 §2.4, RFC 3587). So these are refused
/// too: unspecified, loopback, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), discard-only, SRv6, unique local
/// (AWS's metadata at fd00:ec2::254), link local, multicast.
const GLOBAL_V6: ([u16; 8], u8) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

const NOT_GLOBAL_V6: [([u16; 8], u8); 4] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // IETF protocol assignments (RFC 2928), Teredo (RFC 4380)
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation (RFC 3849)
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4 (RFC 3056): any IPv4 address may be within
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation (RFC 9637)
];

/// Whether this may be the address of a host on the public Internet. Of an IPv4-mapped IPv6 address
/// (RFC 4291 §2.5.5.2) the IPv4 address counts.
pub(super) fn is_global(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !NOT_GLOBAL_V4.iter().any(|&(block, bits)| v4(block, bits).holds(address.into())),
        IpAddr::V6(address) => {
            let within = |&(block, bits)| v6(block, bits).holds(address.into());
            within(&GLOBAL_V6) && !NOT_GLOBAL_V6.iter().any(within)
        }
    }
}

fn v4(block: [u8; 4], bits: u8) -> Range {
    Range { first: Ipv4Addr::from(block).into(), bits }
}

fn v6(block: [u16; 8], bits: u8) -> Range {
    Range { first: Ipv6Addr::from(block).into(), bits }
}

/// A block of addresses, as in RFC 4632 §3.1: `10.20.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    first: IpAddr,
    bits: u8,
}

impl Range {
    /// # Errors
    /// `Invalid` for another form, or an address with a bit set that the length leaves out.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let range = text.split_once('/').and_then(|(first, bits)| {
            let first: IpAddr = first.parse().ok()?;
            let bits_max = if first.is_ipv4() { 32 } else { 128 };
            let is_number = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
            let bits: u8 = bits.parse().ok().filter(|bits| is_number && *bits <= bits_max)?;
            Some(Self { first, bits })
        });
        range.filter(|range| range.first == range.masked(range.first)).ok_or_else(|| {
            let message = format!("{text:?} is no range of addresses: write it like 10.20.0.0/16 or fd12:3456::/32");
            Error::new(ErrorKind::Invalid, message)
        })
    }

    pub(super) fn holds(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.masked(address) == self.first
    }

    /// The address with the bits cleared that the range leaves open.
    fn masked(&self, address: IpAddr) -> IpAddr {
        let bits = u32::from(self.bits);
        match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_last_address_of_each_block_and_its_neighbours() {
        // The first, the last, and whether what is before and after them is global.
        let blocks = [
            ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
            ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")),
            ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")),
            ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")),
            ("168.63.129.16", "168.63.129.16", Some("168.63.129.15"), Some("168.63.129.17")),
            ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")),
            ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")),
            ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")),
            ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")),
            ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")),
            ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")),
            ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")),
            ("198.51.100.0", "198.51.100.255", Some("198.51.99.255"), Some("198.51.101.0")),
            ("203.0.113.0", "203.0.113.255", Some("203.0.112.255"), Some("203.0.114.0")),
            ("224.0.0.0", "255.255.255.255", Some("223.255.255.255"), None),
            ("::", "1fff:ffff:ffff:ffff:ffff:fffe:ffff:ffff", None, Some("2000::")),
            ("2001::", "2001:1ff:ffff::", Some("2000:ffff::"), Some("2001:200::")),
            ("2001:db8::", "2001:db8:ffff::", Some("2001:db7:ffff::"), Some("2001:db9::")),
            ("2002::", "2002:ffff::", Some("2001:ffff::"), Some("2003::")),
            ("3fff::", "3fff:fff:ffff::", Some("3ffe:ffff::"), Some("3fff:1000::")),
            ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("3fff:ffff::"), None),
        ];
        let global = |address: &str| is_global(address.parse().unwrap());
        for (first, last, before, after) in blocks {
            assert!(!global(first) && !global(last), "{first} to {last}");
            assert!(before.is_none_or(global), "before {first}");
            assert!(after.is_none_or(global), "after {last}");
        }
    }

    #[test]
    fn an_address_within_another_is_not_more_global() {
        for address in [
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "5f00::1",
            "100::1",
        ] {
            assert!(!is_global(address.parse().unwrap()), "{address}");
        }
        assert!(is_global("::ffff:8.8.8.8".parse().unwrap()), "the same as 8.8.8.8");
        assert!(is_global("2606:4700::1111".parse().unwrap()));
    }

    #[test]
    fn a_range_holds_what_begins_like_it() {
        let holds = |range: &str, address: &str| Range::parse(range).unwrap().holds(address.parse().unwrap());
        assert!(holds("10.20.0.0/16", "10.20.255.255") && !holds("10.20.0.0/16", "10.21.0.0"));
        assert!(holds("0.0.0.0/0", "255.255.255.255") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("127.0.0.1/32", "127.0.0.1") && !holds("127.0.0.1/32", "127.0.0.2"));
        assert!(holds("::/0", "fe80::1") && holds("fd12::/16", "fd12:1::") && !holds("fd12::/16", "fd13::"));
        for wrong in
            ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.1/8", "10.0.0.0/+8", "10/8", "a/8", "::1/0"]
        {
            assert_eq!(Range::parse(wrong).unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
        }
    }
}
