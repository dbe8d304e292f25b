//! The archive, as the trail tells of it: nothing is freed before the copy there is proven, and nothing is let go that
//! links lead to, or that is the last good copy.

use distribution_core::{Location, TargetName, Timestamp};

use super::Promise;
use super::body::{Body, Hot};
use super::replicas::Copies;

type Broken = (Promise, String);

#[derive(Default)]
pub(super) struct Archive<'a> {
    target: Option<&'a str>,
    hot: Told,
    /// When the last link ends that somebody was given.
    links_until: Option<Timestamp>,
    links_end: Option<Timestamp>,
    /// Whether copies were freed once.
    pub(super) was_freed: bool,
    was_restored: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Told {
    #[default]
    Kept,
    ToFree,
    Freed,
}

impl<'a> Archive<'a> {
    pub(super) fn is_freed(&self) -> bool {
        self.hot == Told::Freed
    }

    pub(super) fn linked(&mut self, end: Timestamp) {
        self.links_until = self.links_until.max(Some(end));
    }

    pub(super) fn wanted(&mut self, target: &'a TargetName, frees: bool, is_held: bool) -> bool {
        let is_possible = self.target.is_none_or(|known| known == target.as_str()) && !self.is_freed();
        self.target = Some(target.as_str());
        if frees {
            self.hot = Told::ToFree;
        }
        is_possible && !(frees && is_held)
    }

    pub(super) fn freed(
        &mut self,
        links_end: Timestamp,
        at: Timestamp,
        copies: &Copies<'_>,
        is_held: bool,
    ) -> Result<(), Broken> {
        if self.hot != Told::ToFree || is_held {
            return Err((Promise::P6, "copies were freed that are to be kept".to_owned()));
        }
        if !self.target.is_some_and(|target| copies.has(target)) {
            return Err((Promise::P1, "copies were freed before the one in the archive was proven".to_owned()));
        }
        if links_end < at || self.links_until.is_some_and(|end| links_end < end) {
            return Err((Promise::P8, format!("links are said to end at {links_end}, and some live longer")));
        }
        (self.hot, self.links_end, self.was_freed) = (Told::Freed, Some(links_end), true);
        Ok(())
    }

    pub(super) fn kept(&mut self) -> bool {
        let was_to_free = self.hot == Told::ToFree;
        if was_to_free {
            self.hot = Told::Kept;
        }
        was_to_free
    }

    pub(super) fn restored(&mut self) {
        self.was_restored = true;
        if self.is_freed() {
            self.hot = Told::Kept;
        }
    }

    /// `own` is where the publication has its own object, or had it before that was freed.
    pub(super) fn released(
        &self,
        location: &Location,
        at: Timestamp,
        own: Option<&Location>,
        copies: &Copies<'_>,
    ) -> Result<(), Broken> {
        let counts = copies.is_at(location) || (!self.is_freed() && own == Some(location));
        if !(self.was_freed || self.was_restored) || counts {
            return Err((Promise::P6, format!("{location} was let go, and is a copy that counts")));
        }
        if self.is_freed() && !self.target.is_some_and(|target| copies.has(target)) {
            return Err((Promise::P1, format!("{location} was let go, and may be the last good copy")));
        }
        if self.links_end.is_some_and(|end| at < end) {
            return Err((Promise::P8, format!("{location} was let go at {at}, and links lead there")));
        }
        Ok(())
    }

    pub(super) fn agrees(&self, body: &Body) -> bool {
        let hot = match body.hot {
            Hot::Kept => Told::Kept,
            Hot::ToFree => Told::ToFree,
            Hot::Freed { .. } => Told::Freed,
        };
        let target = body.archive().map(|copy| copy.target.as_str());
        (hot, target, body.spared_until) == (self.hot, self.target, self.links_end)
    }
}
