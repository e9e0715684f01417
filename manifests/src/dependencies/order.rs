//! Dependencies before dependents.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::Chosen;
use super::conflict::{Chain, Clash, Conflict, Link};
use super::member::{Member, Members, deciding};
use crate::name::ArtifactName;

/// The members, each after all that it needs, and else by name.
///
/// # Errors
/// One conflict: the circle, when there is one.
pub(super) fn order<'c>(members: &Members<'c>) -> Result<Vec<&'c Chosen>, Conflict> {
    let mut order = Vec::new();
    let mut placed = BTreeSet::new();
    loop {
        let mut open = members.values().filter(|member| !placed.contains(&member.chosen.name)).peekable();
        let Some(first) = open.peek().copied() else { return Ok(order) };
        let Some(ready) = open.find(|member| open_need(members, &placed, member).is_none()) else {
            return Err(circle(members, &placed, first));
        };
        placed.insert(&ready.chosen.name);
        order.push(ready.chosen);
    }
}

/// The first thing that a member needs and that is not placed.
fn open_need(members: &Members<'_>, placed: &BTreeSet<&ArtifactName>, member: &Member<'_>) -> Option<Link> {
    member.chosen.dependencies.iter().find_map(|dependency| {
        let (_, needed, at_least) = deciding(members, dependency)?;
        let there = members.get(needed)?;
        (!placed.contains(&there.chosen.name)).then(|| Link::new(member.chosen, needed, at_least))
    })
}

/// Follows needs that are not placed until one comes up again; every member that is not placed has one.
fn circle(members: &Members<'_>, placed: &BTreeSet<&ArtifactName>, first: &Member<'_>) -> Conflict {
    let mut links: Vec<Link> = Vec::new();
    let mut next = open_need(members, placed, first);
    while let Some(link) = next {
        if let Some(start) = links.iter().position(|earlier| earlier.needer == link.needer) {
            links.drain(..start);
            break;
        }
        next = members.get(link.name.as_str()).and_then(|member| open_need(members, placed, member));
        links.push(link);
    }
    Conflict { chain: Chain { links, at: first.place(members) }, clash: Clash::Circle }
}
