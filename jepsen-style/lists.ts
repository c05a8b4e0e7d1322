/** Lists by key, of which each begins with the first that is added to it. */
export function addTo<Key, Each>(lists: Map<Key, Each[]>, key: Key, one: Each): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [one]);
  else list.push(one);
}
