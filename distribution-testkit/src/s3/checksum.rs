//! Checksums and ETags ("Checking object integrity in Amazon S3" in the user guide).

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::call::Call;
use super::fault::Fault;
use super::reply::{Refusal, refuse};

/// What a checksum is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is named after the algorithm")]
pub enum Algorithm {
    Sha256,
    Crc32,
    Crc32c,
    Crc64Nvme,
}

/// A checksum of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// What it is computed with.
    pub algorithm: Algorithm,
    /// In base64; with `-` and the number of parts if it is a checksum of checksums.
    pub value: String,
    /// Whether it is that of all bytes, and not one of the parts' checksums.
    pub full_object: bool,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Sha256, Self::Crc32, Self::Crc32c, Self::Crc64Nvme];

    /// As in `x-amz-checksum-algorithm`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA256",
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
        }
    }

    /// The header that holds it.
    pub(super) fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name().to_ascii_lowercase())
    }

    pub(super) fn parse(name: &str) -> Result<Self, Refusal> {
        let known = Self::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        known.ok_or_else(|| refuse("InvalidRequest", format!("Checksum algorithm {name:?} is not supported.")))
    }

    /// The checksum of these bytes, in base64.
    pub fn of(self, bytes: &[u8]) -> String {
        BASE64.encode(&self.raw(bytes))
    }

    fn raw(self, bytes: &[u8]) -> Vec<u8> {
        // The polynomials are reflected; the last is that of NVM Express.
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Crc32 => (crc(0xEDB8_8320, 0xFFFF_FFFF, bytes) as u32).to_be_bytes().to_vec(),
            Self::Crc32c => (crc(0x82F6_3B78, 0xFFFF_FFFF, bytes) as u32).to_be_bytes().to_vec(),
            Self::Crc64Nvme => crc(0x9A6C_9329_AC4B_C9B5, u64::MAX, bytes).to_be_bytes().to_vec(),
        }
    }

    /// Of all bytes.
    pub(super) fn full(self, bytes: &[u8]) -> Checksum {
        Checksum { algorithm: self, value: self.of(bytes), full_object: true }
    }

    /// Of the parts' checksums, each in base64.
    pub(super) fn composite<'a>(self, parts: impl Iterator<Item = &'a str>) -> Checksum {
        let mut raw = Vec::new();
        let mut count = 0;
        for part in parts {
            raw.extend(BASE64.decode(part.as_bytes()).unwrap_or_default());
            count += 1;
        }
        Checksum { algorithm: self, value: format!("{}-{count}", self.of(&raw)), full_object: false }
    }
}

impl Checksum {
    /// As it is told in headers.
    pub(super) fn headers(&self) -> [(String, String); 2] {
        let kind = if self.full_object { "FULL_OBJECT" } else { "COMPOSITE" };
        [(self.algorithm.header(), self.value.clone()), ("x-amz-checksum-type".to_owned(), kind.to_owned())]
    }

    /// As it is told in XML, such as `<ChecksumSHA256>`.
    pub(super) fn elements(&self) -> String {
        let kind = if self.full_object { "FULL_OBJECT" } else { "COMPOSITE" };
        let name = self.algorithm.name();
        format!("<Checksum{name}>{}</Checksum{name}><ChecksumType>{kind}</ChecksumType>", self.value)
    }

    /// What is kept of it by a server that the call finds.
    pub(super) fn kept(self, call: &Call) -> Option<Self> {
        if call.has(Fault::ChecksumComposite) && self.full_object {
            return Some(self.algorithm.composite([self.value.as_str()].into_iter()));
        }
        Some(self)
    }
}

/// The checksum that came with the body, if it is the body's.
pub(super) fn of_body(call: &Call) -> Result<Option<Checksum>, Refusal> {
    let claims: Vec<_> = Algorithm::ALL
        .into_iter()
        .filter_map(|algorithm| Some((algorithm, call.header(&algorithm.header())?)))
        .collect();
    let named = call.header("x-amz-sdk-checksum-algorithm").map(Algorithm::parse).transpose()?;
    let (algorithm, value) = match (claims[..].first(), claims.len(), named) {
        (None, _, None) => return Ok(None),
        (Some(&claim), 1, None) => claim,
        (Some(&claim), 1, Some(named)) if claim.0 == named => claim,
        (_, _, Some(_)) => {
            let message = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* was found.";
            return Err(refuse("InvalidRequest", message));
        }
        _ => return Err(refuse("InvalidRequest", "Expecting a single x-amz-checksum- header.")),
    };
    if call.has(Fault::ChecksumUnchecked) {
        return Ok(None);
    }
    let claimed = Checksum { algorithm, value: value.to_owned(), full_object: true };
    if call.has(Fault::ChecksumEchoed) || algorithm.of(&call.body) == value {
        return Ok(claimed.kept(call));
    }
    let message = format!("The {} you specified did not match the calculated checksum.", algorithm.name());
    Err(refuse("BadDigest", message))
}

/// Compares the body with `Content-MD5`, if that came with it.
pub(super) fn content_md5(call: &Call) -> Result<(), Refusal> {
    let Some(claimed) = call.header("content-md5") else { return Ok(()) };
    let claimed = BASE64.decode(claimed.as_bytes()).ok().filter(|md5| md5.len() == 16);
    let claimed = claimed.ok_or_else(|| refuse("InvalidDigest", "The Content-MD5 you specified is not valid."))?;
    if claimed.as_slice() != &*Md5::digest(&call.body) {
        return Err(refuse("BadDigest", "The Content-MD5 you specified did not match what we received."));
    }
    Ok(())
}

/// The quoted ETag of an object that came whole: its MD5.
pub(super) fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", HEXLOWER.encode(&Md5::digest(bytes)))
}

/// The quoted ETag of an object of parts: the MD5 of their MD5s, `-`, and how many there are.
pub(super) fn etag_of_parts<'a>(etags: impl Iterator<Item = &'a str>) -> String {
    let mut all = Md5::new();
    let mut count = 0;
    for etag in etags {
        all.update(HEXLOWER.decode(etag.trim_matches('"').as_bytes()).unwrap_or_default());
        count += 1;
    }
    format!("\"{}-{count}\"", HEXLOWER.encode(&all.finalize()))
}

/// A reflected CRC that begins with, and is complemented by, all ones.
fn crc(polynomial: u64, ones: u64, bytes: &[u8]) -> u64 {
    let step = |value: u64| (0..8).fold(value, |v, _| if v & 1 == 1 { (v >> 1) ^ polynomial } else { v >> 1 });
    let table: [u64; 256] = std::array::from_fn(|byte| step(byte as u64));
    let next = |crc: u64, byte: &u8| (crc >> 8) ^ table.get(usize::from((crc as u8) ^ byte)).copied().unwrap_or(0);
    bytes.iter().fold(ones, next) ^ ones
}

/// All bytes with one bit of them flipped, in the middle.
pub(super) fn flipped(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}
