import { evenSchedule, fullSchedule, passesOf, scheduleLabel, toggled } from '../../site/src/state/schedules';
import { uniformReuse } from '../../src/cache/uniform';
import { scheduleOf } from '../../src/policy/data';

test('even schedules are those of the method uniform', () => {
  for (let steps = 4; steps <= 40; steps++) {
    for (let passes = 1; passes <= steps; passes++) {
      expect(evenSchedule(steps, passes)).toBe(scheduleOf(uniformReuse(steps, passes)));
    }
  }
  expect(evenSchedule(7, 7)).toBe(fullSchedule(7));
});

test('a step turns over, and back; the first one stays', () => {
  expect(toggled('####', 2)).toBe('##.#');
  expect(toggled('##.#', 2)).toBe('####');
  expect(toggled('####', 0)).toBe('####');
  expect(passesOf('##.#')).toBe(3);
});

test('a schedule in words', () => {
  expect(scheduleLabel('####')).toBe('all 4 steps computed');
  expect(scheduleLabel('##..#.')).toBe('3 of 6 steps computed, 3 reused; reused are 3 to 4, 6');
});
