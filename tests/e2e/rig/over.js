// What the modules that stand before the built worker have in common.

/** The object with some of its members replaced; the others are its own. */
export function over(target, members) {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(members, name)) return members[name];
      const own = Reflect.get(target, name, target);
      return typeof own === "function" && name !== "constructor" ? own.bind(target) : own;
    },
  });
}
