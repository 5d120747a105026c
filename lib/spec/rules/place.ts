import { InvalidSpecError, invalid, show, UnsupportedError } from '../../errors.js';

/** Where a value that is being checked stands, for the error that names it. */
export class Place {
  /**
   * @param path dotted name; empty for the options object itself
   * @param phase whether options or a spec are being checked
   */
  constructor(
    readonly path: string,
    readonly phase: 'options' | 'spec',
  ) {}

  /** The place of a property. */
  key(name: string): Place {
    if (!/^[A-Za-z_]\w*$/.test(name)) return new Place(`${this.path}[${show(name)}]`, this.phase);
    return new Place(this.path === '' ? name : `${this.path}.${name}`, this.phase);
  }

  /** The place of a list's element. */
  index(index: number): Place {
    return new Place(`${this.path}[${index}]`, this.phase);
  }

  /** The error for a wrong value here; `got` is shown, shortened, when it is given. */
  invalid(expected: string, ...got: [value?: unknown]): InvalidSpecError {
    const option = this.path === '' ? 'options' : this.path;
    if (this.phase === 'options') {
      return got.length === 0 ? invalid(option, expected) : invalid(option, expected, got[0]);
    }
    const shown = got.length === 0 ? '' : `, got ${show(got[0])}`;
    return new InvalidSpecError('ERR_INVALID_SPEC', `${option}: expected ${expected}${shown}`, {
      option,
      phase: 'spec',
    });
  }

  /** The error for an OCI field that ringfort does not carry out. */
  unsupported(): UnsupportedError {
    return new UnsupportedError(
      'ERR_UNSUPPORTED_SPEC',
      `${this.path}: not carried out by ringfort`,
      {
        option: this.path,
        phase: this.phase,
        hint: 'leave the field out',
      },
    );
  }
}

/** The options object that a person wrote. */
export const optionsPlace = new Place('', 'options');

/** A whole OCI spec. */
export const specPlace = new Place('spec', 'spec');
