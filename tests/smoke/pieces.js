// What must hold of all that people heard, each on several connections: problemsIn([{ name, pieces }]), a piece being the
// texts that came on one connection, in order. A text is WHO/CONNECTION/NUMBER, as its sender counts them.
//
// The plain protocol has no history, so nobody knows what they missed between two connections. What can be known: each
// connection was given an unbroken piece of the channel's one order. So no message has two successors or two
// predecessors among all that was heard.

export function problemsIn(people) {
  return [...doublesOf(people), ...forksOf(people), ...overtakenIn(people)];
}

function doublesOf(people) {
  return people.flatMap(({ name, pieces }) => {
    const seen = new Set();
    const doubled = pieces.flat().filter((text) => seen.size === seen.add(text).size);
    return doubled.length > 0 ? [`${name} heard twice: ${doubled.slice(0, 5)}`] : [];
  });
}

function forksOf(people) {
  const problems = [];
  const after = new Map();
  const before = new Map();
  const note = (map, where, text, neighbour, name) => {
    const known = map.get(text) ?? neighbour;
    map.set(text, known);
    if (known !== neighbour) problems.push(`${where} ${text} ${name} heard ${neighbour}, somebody else ${known}`);
  };

  for (const { name, pieces } of people) {
    for (const piece of pieces) {
      for (let i = 1; i < piece.length; i++) {
        note(after, "after", piece[i - 1], piece[i], name);
        note(before, "before", piece[i], piece[i - 1], name);
      }
    }
  }
  return problems;
}

// What was said on one connection is heard in that order.
function overtakenIn(people) {
  const problems = [];

  for (const { name, pieces } of people) {
    for (const piece of pieces) {
      const last = new Map();
      for (const text of piece) {
        const [who, connection, number] = text.split("/");
        const key = `${who}/${connection}`;
        if (Number(number) < (last.get(key) ?? -1)) problems.push(`${name} heard ${text} after ${last.get(key)}`);
        last.set(key, Number(number));
      }
    }
  }
  return problems;
}
