// @ts-check
// Who changed what, the last first.

const audit = {
  title: "Audit",
  async load() {
    const list = await ask("GET", asked("/audit", { limit: shown }));
    return [section("Changes, the last first", listing("Changes", /** @type {Column<any>[]} */ ([
      { name: "When", narrow: true, of: ({ at }) => moment(at) },
      { name: "Who", narrow: true, of: ({ who }) => make("code", {}, who) },
      { name: "What", narrow: true, of: ({ what }) => what },
      { name: "To what", of: ({ subject }) => make("code", {}, subject) },
      { name: "Detail", of: ({ detail }) => make("code", { class: "soft" }, JSON.stringify(detail)) },
    ]), list.items, "Nobody has changed anything yet."), more(list, "Older ones are in the API: GET admin/audit, with cursor."))];
  },
};
