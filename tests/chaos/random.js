// Numbers that follow from a seed alone (mulberry32).

export class Random {
  constructor(seed) {
    this.state = seed >>> 0;
  }

  // From 0 up to, without, `limit`.
  below(limit) {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return Math.floor((((z ^ (z >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  between(low, high) {
    return low + this.below(high - low + 1);
  }

  of(list) {
    return list[this.below(list.length)];
  }
}
