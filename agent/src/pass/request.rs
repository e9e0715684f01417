//! What a pass is asked for.

/// Whether a resolution that is still good may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// It may, until it is old.
    WhenOld,
    /// Indexes and registries are asked again.
    Now,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Git, and whoever else must be.
    Everybody,
    /// The host alone: what is live is checked, and put right with what is on the disk. A registry is asked only for what
    /// has been lost.
    Host,
}

/// What becomes of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// They are kept.
    Kept,
    /// Somebody on the host does not wait for them.
    Overridden,
}

/// What a pass is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Whether a resolution that is still good may be used.
    pub refresh: Refresh,
    /// Who is asked.
    pub reach: Reach,
    /// What becomes of windows.
    pub windows: Windows,
}

impl Request {
    /// The pass that comes on time.
    pub const ORDINARY: Self = Self { refresh: Refresh::WhenOld, reach: Reach::Everybody, windows: Windows::Kept };
    /// A look at the host alone.
    pub const HOST: Self = Self { reach: Reach::Host, ..Self::ORDINARY };
}

impl From<Refresh> for Request {
    fn from(refresh: Refresh) -> Self {
        Self { refresh, ..Self::ORDINARY }
    }
}
