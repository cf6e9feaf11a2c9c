// Made by "manage.py makefrontend" from Python code: what is changed here gets lost.

export interface Person {
  color: string;
  name: string;
}
