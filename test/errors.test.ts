import { ErtaError, PolicyError } from '../src/errors';

test('an error carries its code, its hint and its class name', () => {
  const error = new PolicyError('The policy is for another model.', { hint: 'Calibrate one.' });
  expect(error).toBeInstanceOf(ErtaError);
  expect([error.name, error.code, error.hint]).toEqual(['PolicyError', 'policy', 'Calibrate one.']);
  expect(ErtaError.isInstance(error)).toBe(true);
  expect(ErtaError.isInstance(new Error('x'))).toBe(false);
});
